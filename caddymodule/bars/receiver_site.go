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

// receiverSite is what a receiver can see of its server before anything listens: the connection policies, in the
// order in which a handshake meets them. What no policy shows is checked again at run time, by the connection.
type receiverSite struct {
	server *caddyhttp.Server
	trust  ReceiverTrust
	app    *caddymodule.App
}

// certificateTag is by which the connection policy of a receiver's site finds the certificate that was loaded for it.
func certificateTag(path string) string { return "bars_receiver " + path }

// names are those of the policies with this trust and certificate.
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

// check refuses a server in which a caller with one of the names would meet a policy that asks for less.
func (s receiverSite) check(names []string) error {
	if strict := s.server.StrictSNIHost; strict == nil || !*strict {
		return errors.New("strict_sni_host is off for its server, so that a caller could shake hands as for another site; take strict_sni_host insecure_off out of the global options")
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
				break // those behind are never met
			}
		}
		if !met {
			return fmt.Errorf("no TLS connection policy stands for %s; let the directive bars_receiver make the site's, or write one with client_authentication as docs/receiver.md shows", name)
		}
	}
	return nil
}

// checkPolicy refuses a policy that lets in more than the proxy.
func (s receiverSite) checkPolicy(policy *caddytls.ConnectionPolicy) error {
	auth := policy.ClientAuthentication
	if auth == nil {
		return errors.New("asks callers for no certificate; it needs client_auth with mode require_and_verify, the environment's trust_pool and verifier bars")
	}
	switch {
	case auth.Mode != "" && auth.Mode != "require_and_verify":
		return fmt.Errorf("has client_auth mode %s; a receiver needs require_and_verify", auth.Mode)
	case auth.CARaw == nil:
		return errors.New("has no trust_pool, so that the system's authorities would vouch for callers; name the environment's chain")
	case caddymodule.IsSystemPool(auth.CARaw):
		return errors.New("trusts the system's authorities; a receiver trusts the environment's chain and none else")
	case !s.verifies(policy):
		return errors.New("has no verifier bars with the same environment and chain as this receiver; one site has one environment")
	}
	for _, suite := range policy.CipherSuites {
		if !bars.ForwardSecret(suite) {
			return fmt.Errorf("allows the cipher suite %s; TLS-MA uses ECDHE suites only", suite)
		}
	}
	return nil
}

// verifies tells whether a policy has our verifier with this trust.
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

// sniOf are the names that a policy is for, and whether names alone decide; without any it is for all.
func sniOf(policy *caddytls.ConnectionPolicy) (names []string, only bool) {
	raw, ok := policy.MatchersRaw["sni"]
	if ok && json.Unmarshal(raw, &names) != nil {
		return nil, false
	}
	return names, len(policy.MatchersRaw) == 0 || ok && len(policy.MatchersRaw) == 1
}

// matches tells whether a caller with this name meets a policy that is for these.
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
