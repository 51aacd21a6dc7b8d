package demo

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// place is the demo's own origin and the service's URL.
type place struct {
	origin  string // such as http://localhost:8080
	service string // such as http://localhost:8080/signing-service
}

const servicePath = "/signing-service"

var errNoPublicURL = errors.New("this demo does not know its own address: set its public URL; " +
	"it can do without only where it is visited at a loopback address")

// checkURLs checks the URLs among the options and returns the origin of PublicURL.
func checkURLs(o Options) (origin string, err error) {
	for _, u := range []struct{ name, value string }{
		{"public URL", o.PublicURL}, {"service URL", o.ServiceURL}, {"audience", o.Audience},
	} {
		parsed, err := url.Parse(u.value)
		switch {
		case u.value == "":
		case err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http" ||
			parsed.User != nil || parsed.RawQuery != "" || parsed.Fragment != "":
			return "", fmt.Errorf("the demo's %s must be an http or https URL without user, query and fragment", u.name)
		case u.name == "public URL":
			// As browsers write an Origin: in lower case and without the scheme's default port.
			origin = parsed.Scheme + "://" + strings.ToLower(parsed.Host)
			origin = strings.TrimSuffix(origin, map[string]string{"http": ":80", "https": ":443"}[parsed.Scheme])
		}
	}
	return origin, nil
}

// placeOf returns the place for this request.
func (d *Demo) placeOf(r *http.Request) (place, error) {
	origin := d.origin
	if origin == "" {
		var err error
		if origin, err = loopbackOrigin(r); err != nil {
			return place{}, err
		}
	}
	if d.options.ServiceURL != "" {
		return place{origin, d.options.ServiceURL}, nil
	}
	return place{origin, origin + servicePath}, nil
}

// loopbackOrigin trusts a request's Host only if the connection ended at a loopback address of this machine and the
// Host names one, with the connection's own port. A caller thus cannot redirect the demo elsewhere.
func loopbackOrigin(r *http.Request) (string, error) {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return "", errNoPublicURL
	}
	address, err := netip.ParseAddrPort(local.String())
	if err != nil || !address.Addr().Unmap().IsLoopback() {
		return "", errNoPublicURL
	}
	scheme, standard := "http", "80"
	if r.TLS != nil {
		scheme, standard = "https", "443"
	}
	asked := url.URL{Host: r.Host}
	port := asked.Port()
	if port == "" {
		port = standard
	}
	if !isLoopbackName(asked.Hostname()) || port != fmt.Sprint(address.Port()) {
		return "", errNoPublicURL
	}
	return scheme + "://" + strings.ToLower(r.Host), nil
}

func isLoopbackName(name string) bool {
	if address, err := netip.ParseAddr(name); err == nil {
		return address.Unmap().IsLoopback()
	}
	name = strings.ToLower(name)
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// sameOrigin refuses a POST caused by another site. A client that is not a browser sends neither header, and has no
// cookies that could be abused.
func sameOrigin(r *http.Request, origin string) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	from := r.Header.Get("Origin")
	return (site == "" || site == "same-origin") && (from == "" || from == origin)
}
