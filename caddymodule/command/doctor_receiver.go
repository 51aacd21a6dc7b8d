package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/netip"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	caddybars "github.com/seed-dd2befc3/countersign/caddymodule/bars"
)

// receiverSubject is a receiver to check.
type receiverSubject struct {
	environment      bars.Environment
	fqdn             []string
	certificate, key string   // PEM files
	chain            []string // PEM files
	pool             bool     // one of Caddy's trust pools instead
	crl              []string
	ip               string // where the name should resolve to; may be empty
	addresses        []string
}

// receiver checks a receiver, as far as it is known.
func (d *doctor) receiver(ctx context.Context, s receiverSubject) {
	for _, name := range s.fqdn {
		d.fqdn(name, s.environment)
		d.dns(ctx, name, s.ip)
	}
	of := "receiver"
	if len(s.fqdn) > 0 {
		of = s.fqdn[0]
	}
	chain := d.chain(of, s)
	if s.certificate != "" {
		d.certificate(of, s, chain)
	}
	site := &caddybars.Receiver{ReceiverTrust: caddybars.ReceiverTrust{Environment: caddymodule.Environment(s.environment)}, ProxyAddresses: s.addresses}
	if allowed, err := site.Allowed(); err != nil {
		d.failed("egress", of, err, "leave proxy_addresses out for NHS England's proxy of "+string(s.environment))
	} else if allowed == nil {
		d.ok("egress", of, "lets in any address: the caller's certificate alone decides")
	} else {
		d.ok("egress", of, "lets in %v", allowed)
	}
}

func (d *doctor) fqdn(name string, environment bars.Environment) {
	if bars.EnvironmentOf(name) == environment.Other() {
		d.add("fqdn", name, conditionFailed, fmt.Sprintf("it is a name of the %s environment, and this is %s", environment.Other(), environment), "correct the name, or environment and chain; environments are never mixed")
	} else if _, err := bars.ParseFQDN(name); err != nil {
		d.broken("fqdn", name, err, "keep it where it works; for a new system choose a name by the rule")
	} else {
		d.ok("fqdn", name, "follows the rule")
	}
}

func (d *doctor) dns(ctx context.Context, name, ip string) {
	found, err := d.resolve(ctx, "ip", name)
	const ask = "have the record made: caddy countersign onboard dns --ip <public address>"
	if err != nil || len(found) == 0 {
		d.add("dns", name, conditionFailed, fmt.Sprintf("the name does not resolve (%v)", err), ask)
		return
	}
	if addr, err := netip.ParseAddr(ip); err == nil { // normalise: an address has several spellings
		ip = addr.Unmap().String()
	}
	for _, addr := range found {
		addr = addr.Unmap()
		if addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() {
			d.add("dns", name, conditionFailed, fmt.Sprintf("the name leads to %s, which the proxy cannot reach", addr), "let it lead to the public address: caddy countersign onboard dns --ip <public address>")
			return
		}
		if ip == addr.String() {
			ip = ""
		}
	}
	if ip != "" {
		d.add("dns", name, conditionFailed, fmt.Sprintf("the name leads to %v, and not to %s", found, ip), ask)
		return
	}
	d.ok("dns", name, "leads to %v", found)
}

// chain checks the authorities and returns them.
func (d *doctor) chain(of string, s receiverSubject) []*x509.Certificate {
	if s.pool {
		d.add("chain", of, conditionWarning, "callers are trusted by a pool of Caddy's, which cannot be looked at from here", "outside demonstrations name the environment's files: chain in bars_receiver")
		return nil
	}
	if len(s.chain) == 0 {
		d.add("chain", of, conditionFailed, "no chain is configured, so no caller can be trusted", "name the PEM files with the environment's root and sub certificates (--chain, or chain in bars_receiver)")
		return nil
	}
	chain, err := bars.ReadCertificates(s.chain...)
	if err == nil {
		_, err = bars.NewTrust(bars.TrustOptions{Environment: s.environment, Chain: chain})
	}
	if err != nil {
		d.failed("chain", of, err, "name the PEM files with the root and sub certificates of "+string(s.environment)+", and nothing else")
		return chain
	}
	d.ok("chain", of, "%d authorities of %s", len(chain), s.environment)
	d.expiry(of, chain...)
	if len(s.crl) > 0 {
		if _, err := bars.ReadRevocations(s.crl, chain, d.now(), nil); err != nil {
			d.failed("revocation", of, err, "fetch a current list of this environment's authority")
		} else {
			d.ok("revocation", of, "%d lists", len(s.crl))
		}
	}
	return chain
}

// certificate checks the receiver's own certificate.
func (d *doctor) certificate(of string, s receiverSubject, chain []*x509.Certificate) {
	file, err := bars.ReadCertificates(s.certificate)
	if err != nil {
		d.failed("certificate", of, err, "save the certificate as it was sent, in PEM, with the sub certificate behind it")
		return
	}
	leaf := file[0]
	for _, name := range s.fqdn {
		if err := bars.CheckNames(leaf, name); err != nil {
			d.failed("certificate names", name, err, "ask for a certificate whose CN and only SAN are the FQDN: caddy countersign onboard csr")
		} else {
			d.ok("certificate names", name, "FQDN = CN = SAN")
		}
	}
	if s.key != "" {
		d.keyPair(of, s)
	}
	if len(chain) > 0 {
		if err := bars.CheckIssued(file, chain); err != nil {
			d.failed("issuer", of, err, "compare the environments of certificate and chain, and put the sub certificate behind the leaf in "+s.certificate)
		} else {
			d.ok("issuer", of, "vouched for by the chain of %s", s.environment)
		}
	}
	d.expiry(of, leaf)
}

// keyPair holds the TLS key to the certificate.
func (d *doctor) keyPair(of string, s receiverSubject) {
	if _, err := tls.LoadX509KeyPair(s.certificate, s.key); err != nil {
		d.failed("certificate key", of, err, "give the key that the request was made with; if it is lost, request a new certificate")
		return
	}
	d.private(of, s.key)
	d.ok("certificate key", of, "belongs to the certificate")
}
