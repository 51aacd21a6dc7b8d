package bars

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
)

// receiverSite is what a receiver can check of its server before anything listens: the connection policies, in the
// order a handshake tries them. What they do not show is checked at run time, on the connection.
type receiverSite struct {
	server *caddyhttp.Server
	trust  ReceiverTrust
	app    *caddymodule.App
}

// certificateTag is the tag by which a receiver's connection policy selects the certificate loaded for it.
func certificateTag(path string) string { return "bars_receiver " + path }

// names returns the names of the policies with this trust and certificate.
func (s receiverSite) names(certificate string) []string {
	var names []string
	for _, policy := range s.server.TLSConnPolicies {
		selects := policy.CertSelection != nil && slices.Contains(policy.CertSelection.AnyTag, certificateTag(certificate))
		if sni, only := sniOf(policy); only && s.verifies(policy) && selects == (certificate != "") {
			names = append(names, slices.DeleteFunc(sni, func(name string) bool { return name == "" })...)
		}
	}
	return names
}

// check refuses a server on which a caller using one of the names could match a weaker policy.
func (s receiverSite) check(names []string) error {
	if strict := s.server.StrictSNIHost; strict == nil || !*strict {
		return errors.New("strict_sni_host is off, so a caller could shake hands for another site: remove strict_sni_host insecure_off from the global options")
	}
	if err := s.trust.Environment.JudgeServer(s.server); err != nil {
		return err
	}
	for _, name := range names {
		met := false
		for _, policy := range s.server.TLSConnPolicies {
			sni, only := sniOf(policy)
			if !matches(sni, name) {
				continue
			}
			if err := s.checkPolicy(policy); err != nil {
				return fmt.Errorf("the TLS connection policy for %s %w", name, err)
			}
			if met = only; met {
				break // later policies are never tried
			}
		}
		if !met {
			return fmt.Errorf("no TLS connection policy for %s: use the directive bars_receiver, or write a policy with client_authentication as in docs/receiver.md", name)
		}
	}
	return nil
}

// checkPolicy refuses a policy that admits more than the proxy.
func (s receiverSite) checkPolicy(policy *caddytls.ConnectionPolicy) error {
	auth := policy.ClientAuthentication
	if auth == nil {
		return errors.New("requires no client certificate: add client_auth with mode require_and_verify, the environment's trust_pool and verifier bars")
	}
	switch {
	case auth.Mode != "" && auth.Mode != "require_and_verify":
		return fmt.Errorf("has client_auth mode %s: a receiver needs require_and_verify", auth.Mode)
	case auth.CARaw == nil:
		return errors.New("has no trust_pool, so the system's authorities would be trusted: name the environment's chain")
	case caddymodule.IsSystemPool(auth.CARaw):
		return errors.New("trusts the system's authorities: a receiver trusts only the environment's chain")
	case !s.verifies(policy):
		return errors.New("has no verifier bars with this receiver's environment and chain: a site has one environment")
	}
	if err := caddymodule.CheckPoolFiles(auth.CARaw); err != nil {
		return err
	}
	for _, suite := range policy.CipherSuites {
		if !bars.ForwardSecret(suite) {
			return fmt.Errorf("allows the cipher suite %s; TLS-MA uses ECDHE suites only", suite)
		}
	}
	return nil
}

// verifies reports whether a policy has our verifier with this trust.
func (s receiverSite) verifies(policy *caddytls.ConnectionPolicy) bool {
	if policy.ClientAuthentication == nil {
		return false
	}
	for _, raw := range policy.ClientAuthentication.VerifiersRaw {
		var verifier struct {
			Verifier string `json:"verifier"`
			ReceiverTrust
		}
		if json.Unmarshal(raw, &verifier) == nil && verifier.Verifier == "bars" && verifier.settled(s.app).equal(s.trust) {
			return true
		}
	}
	return false
}

// sniOf returns the names a policy is for, and whether it matches by name only; no names match all callers.
func sniOf(policy *caddytls.ConnectionPolicy) (names []string, only bool) {
	raw, ok := policy.MatchersRaw["sni"]
	if ok && json.Unmarshal(raw, &names) != nil {
		return nil, false
	}
	return names, len(policy.MatchersRaw) == 0 || ok && len(policy.MatchersRaw) == 1
}

// matches reports whether a caller with this name matches a policy for these patterns.
func matches(patterns []string, name string) bool {
	if patterns == nil {
		return true
	}
	name = strings.ToLower(name)
	for _, pattern := range patterns {
		pattern = strings.ToLower(pattern)
		_, parent, _ := strings.Cut(name, ".")
		if pattern == name || strings.Contains(pattern, "{") || pattern == "*."+parent || strings.Count(pattern, "*") > 1 {
			return true
		}
	}
	return false
}
