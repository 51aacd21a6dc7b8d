// Package barsreceiver tests a BaRS receiver from outside: the built binary, OpenSSL and curl.
package barsreceiver

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	receiver = "bars-int-x26.supplier.thirdparty.nhs.uk"
	public   = "bars-int-x27.supplier.thirdparty.nhs.uk" // admits only the addresses of NHS England's proxy
	slow     = "bars-int-x28.supplier.thirdparty.nhs.uk" // its system never answers
	dead     = "bars-int-x29.supplier.thirdparty.nhs.uk" // its system does not exist
	other    = "www.supplier.nhs.uk"                     // not a receiver; requires no certificate
	proxy    = "proxy.bars.nhs.uk"
)

// world is a gateway with receivers, the authorities of two environments, and clients' certificates.
type world struct {
	*gateway.Gateway
	t         testing.TB
	dir       string
	int, prod *barstest.Authority
	chain     string // PEM file of int
	config    string // Caddyfile, with CHAIN as the receiver's chain
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, int: barstest.NewAuthority(t, "NHS INT"), prod: barstest.NewAuthority(t, "NHS Live")}
	w.chain = w.int.WriteChain(filepath.Join(dir, "int-chain.pem"))
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	site := func(name, options, behind string) string {
		chain := w.chain
		if name == receiver {
			chain = "CHAIN"
		}
		file, key := barstest.Write(t, dir, name, w.int.Issue(name))
		return fmt.Sprintf("https://%s:{$PORT_TLS} {\n bars_receiver {\n  certificate %s %s\n  chain %s\n%s }\n %s\n}\n", name, file, key, chain, options, behind)
	}
	crl := w.int.Revoke(filepath.Join(dir, "int.crl"), time.Now().Add(time.Hour), w.client("revoked", w.int.Issue(proxy)))
	file, key := barstest.Write(t, dir, other, w.int.Issue(other))
	w.config = `{
 metrics
 auto_https disable_redirects
 default_bind 127.0.0.1
 local_certs
 skip_install_trust
 countersign {
  environment int
 }
}
http://:{$PORT_SYSTEM} {
 header X-Request-Id of-the-system
 respond /forbidden "no" 403
 respond /large 413
 respond "system {method} {uri} certificate=[{header.X-Client-Cert}{header.X-SSL-Client-S-DN}] id=[{header.X-Request-Id}]"
}
` + site(receiver, "  strict\n  client_subject "+proxy+"\n  crl "+crl+"\n  proxy_addresses 127.0.0.1\n  health /health\n", "reverse_proxy localhost:{$PORT_SYSTEM}") +
		site(public, "  health /health\n", "reverse_proxy localhost:{$PORT_SYSTEM}") +
		site(slow, "  timeout 1s\n  proxy_addresses any\n", "reverse_proxy "+silent.Addr().String()) +
		site(dead, "  proxy_addresses any\n", "reverse_proxy 127.0.0.1:1") +
		fmt.Sprintf("https://%s:{$PORT_TLS} {\n tls %s %s\n respond \"open to all\"\n}\n", other, file, key)
	w.Gateway = gateway.Start(t, w.trusting(w.chain))
	return w
}

// trusting returns the configuration in which the receiver trusts these chains.
func (w *world) trusting(chains ...string) string {
	return strings.ReplaceAll(w.config, "CHAIN", strings.Join(chains, " "))
}

// client writes a client's certificate to NAME.pem and NAME.key, and returns it.
func (w *world) client(name string, certificate tls.Certificate) *x509.Certificate {
	w.t.Helper()
	barstest.Write(w.t, w.dir, name, certificate)
	return certificate.Leaf
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// handshake sends one request with openssl s_client, with sni as server name, and returns the output.
func (w *world) handshake(sni, host string, args ...string) string {
	w.t.Helper()
	all := append([]string{"60", "openssl", "s_client", "-connect", "127.0.0.1:" + w.Port("TLS"), "-CAfile", w.chain, "-ign_eof"}, args...)
	if sni == "" {
		all = append(all, "-noservername")
	} else {
		all = append(all, "-servername", sni)
	}
	request := "GET /FHIR/R4/metadata HTTP/1.1\r\nHost: " + host + "\r\nX-Request-Id: 5\r\nX-Client-Cert: forged\r\nConnection: close\r\n\r\n"
	out, err := gateway.Run([]byte(request), "timeout", all...)
	if err != nil {
		return string(out) + err.Error()
	}
	return string(out)
}

func (w *world) with(name string) []string {
	return []string{"-cert", w.path(name + ".pem"), "-key", w.path(name + ".key"), "-cert_chain", w.path(name + ".pem")}
}

// passed reports whether the system behind answered.
func passed(said string) bool {
	return strings.Contains(said, "HTTP/1.1 200") && strings.Contains(said, "system GET")
}
