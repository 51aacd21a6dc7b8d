package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// mounted is a service at a public URL.
type mounted struct {
	directive string
	server    *caddyhttp.Server
	written   []byte // its configuration
}

// ServerOf is the HTTP server that a handler is provisioned for; nil where there is none.
func ServerOf(ctx caddy.Context) *caddyhttp.Server {
	server, _ := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	return server
}

// ClaimURL refuses a public URL that another service has: one of the two would answer the requests of both. The same
// service at two listeners, such as http and https, is written once and stands in two servers. apim_authorize
// shares the one of its apim_token. It is called with a configuration that no default was filled into.
func (a *App) ClaimURL(ctx caddy.Context, directive, address string, config any) error {
	if address == "" {
		return nil
	}
	written, err := json.Marshal(config)
	if err != nil {
		return err
	}
	address = oneSpelling(address)
	this := mounted{directive, ServerOf(ctx), written}
	for _, other := range a.mounted[address] {
		switch {
		case slices.Contains(pairs(directive), other.directive):
		case other.directive == directive && other.server != this.server && bytes.Equal(other.written, written):
		default:
			return fmt.Errorf("public_url %s is there twice, of %s and of %s, so that one would get the other's requests; give each its own",
				address, other.directive, directive)
		}
	}
	if a.mounted == nil {
		a.mounted = map[string][]mounted{}
	}
	a.mounted[address] = append(a.mounted[address], this)
	return nil
}

// oneSpelling is an address in one spelling of several that mean the same.
func oneSpelling(address string) string {
	u, err := url.Parse(strings.TrimSuffix(address, "/"))
	if err != nil {
		return address
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if standard := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; standard != "" {
		u.Host = strings.TrimSuffix(u.Host, standard)
	}
	return u.String()
}

// pairs are the directives that may have the public URL of one.
func pairs(directive string) []string {
	switch directive {
	case "apim_token":
		return []string{"apim_authorize"}
	case "apim_authorize":
		return []string{"apim_token"}
	}
	return nil
}

// checkClientAuth refuses an agent in a site that asks callers for no certificate: it would refuse every one of them.
func checkClientAuth(server *caddyhttp.Server) error {
	if server == nil {
		return nil // in no HTTP server, as in tests of other parts
	}
	const fix = "; add tls { client_auth { mode require_and_verify; trust_pool … } } to its site"
	if len(server.TLSConnPolicies) == 0 {
		return errors.New("its site asks callers for no certificate, so it would refuse all of them" + fix)
	}
	hosts := hostsOf(server, "smartcard_agent")
	asked := false
	for _, policy := range server.TLSConnPolicies {
		names := policyNames(policy)
		concerns := len(hosts) == 0 || names == nil || slices.ContainsFunc(hosts, func(host string) bool { return slices.Contains(names, host) })
		if !concerns {
			continue
		}
		if verifies(policy.ClientAuthentication) {
			if err := CheckPoolFiles(policy.ClientAuthentication.CARaw); err != nil {
				return err
			}
			asked = true
			continue
		}
		if len(hosts) > 0 && names != nil { // the policy is the site's own
			return fmt.Errorf("its site %s asks callers for no certificate that it verifies, so it would refuse all of them%s", strings.Join(hosts, ", "), fix)
		}
	}
	if !asked {
		return errors.New("its site asks callers for no certificate that it verifies, so it would refuse all of them" + fix)
	}
	return nil
}

// verifies tells whether a caller's certificate is asked for and verified.
func verifies(auth *caddytls.ClientAuthentication) bool {
	if auth == nil || !auth.Active() {
		return false
	}
	switch auth.Mode {
	case "", "require_and_verify", "verify_if_given":
		return true
	}
	return false
}

// policyNames are the names that a policy is for; nil: any.
func policyNames(policy *caddytls.ConnectionPolicy) []string {
	var names []string
	if raw, ok := policy.MatchersRaw["sni"]; ok && json.Unmarshal(raw, &names) == nil {
		return names
	}
	return nil
}

// hostsOf are the host names of the server's routes that have a handler, as far as they are still written down: Caddy
// lets go of a route's text when it has provisioned it, and that of the one at work is there.
func hostsOf(server *caddyhttp.Server, handler string) []string {
	var hosts []string
	for _, route := range server.Routes {
		has := slices.ContainsFunc(route.HandlersRaw, func(raw json.RawMessage) bool { return bytes.Contains(raw, []byte(`"`+handler+`"`)) })
		if !has {
			continue
		}
		for _, set := range route.MatcherSets {
			for _, matcher := range set {
				if names, is := matcher.(*caddyhttp.MatchHost); is {
					hosts = append(hosts, *names...)
				}
			}
		}
	}
	return hosts
}

// listensOn says whether a server listens on one of the ports.
func listensOn(server *caddyhttp.Server, ports []int) bool {
	for _, listen := range server.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		if err != nil {
			continue // which Caddy refuses itself
		}
		if slices.ContainsFunc(ports, func(port int) bool { return port >= int(address.StartPort) && port <= int(address.EndPort) }) {
			return true
		}
	}
	return false
}
