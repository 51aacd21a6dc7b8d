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

// ServerOf returns the HTTP server that a handler is provisioned for, or nil.
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
			return fmt.Errorf("public_url %s is used by both %s and %s, so one would get the other's requests: give each its own",
				address, other.directive, directive)
		}
	}
	if a.mounted == nil {
		a.mounted = map[string][]mounted{}
	}
	a.mounted[address] = append(a.mounted[address], this)
	return nil
}

// oneSpelling returns the normal form of an address.
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

// pairs lists the directives that may share one public URL.
func pairs(directive string) []string {
	switch directive {
	case "apim_token":
		return []string{"apim_authorize"}
	case "apim_authorize":
		return []string{"apim_token"}
	}
	return nil
}

// checkClientAuth refuses an agent in a site that does not request client certificates, because the agent would refuse
// every caller.
func checkClientAuth(server *caddyhttp.Server) error {
	if server == nil {
		return nil // in no HTTP server, as in tests of other parts
	}
	const fix = ": add tls { client_auth { mode require_and_verify; trust_pool … } } to its site"
	if len(server.TLSConnPolicies) == 0 {
		return errors.New("the site does not request client certificates, so the agent would refuse every caller" + fix)
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
		if len(hosts) > 0 && names != nil { // the site has its own policy
			return fmt.Errorf("site %s does not verify client certificates, so the agent would refuse every caller%s", strings.Join(hosts, ", "), fix)
		}
	}
	if !asked {
		return errors.New("the site does not verify client certificates, so the agent would refuse every caller" + fix)
	}
	return nil
}

// verifies reports whether client certificates are requested and verified.
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

// policyNames returns the names that a policy applies to; nil means any.
func policyNames(policy *caddytls.ConnectionPolicy) []string {
	var names []string
	if raw, ok := policy.MatchersRaw["sni"]; ok && json.Unmarshal(raw, &names) == nil {
		return names
	}
	return nil
}

// hostsOf returns the host names of the server's routes that contain a handler. Caddy drops a route's JSON once it is
// provisioned, but the JSON of the route being provisioned is still there.
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

// listensOn reports whether a server listens on one of the ports.
func listensOn(server *caddyhttp.Server, ports []int) bool {
	for _, listen := range server.Listen {
		address, err := caddy.ParseNetworkAddress(listen)
		if err != nil {
			continue // Caddy refuses it itself
		}
		if slices.ContainsFunc(ports, func(port int) bool { return port >= int(address.StartPort) && port <= int(address.EndPort) }) {
			return true
		}
	}
	return false
}
