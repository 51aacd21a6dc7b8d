package smartcard

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// names are subject alternative names by kind, so that a DNS name never matches a URI.
type names struct {
	dns    []string // lower case
	uris   []string
	emails []string
	ips    []netip.Addr
}

var (
	dnsShape  = regexp.MustCompile(`^[0-9a-z_]([0-9a-z_-]*[0-9a-z_])?(\.[0-9a-z_]([0-9a-z_-]*[0-9a-z_])?)*$`)
	userShape = regexp.MustCompile(`^[0-9A-Za-z.*-]{1,64}$`)
)

// parseNames sorts configured names by kind: an IP address, a URI (with its scheme), an e-mail address, or otherwise
// a DNS name. There are no wildcards.
func parseNames(list []string) (names, error) {
	var n names
	for _, s := range list {
		if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
			n.ips = append(n.ips, ip.Unmap())
		} else if u, err := url.Parse(s); err == nil && (u.Scheme == "urn" || u.Scheme != "" && u.Host != "") {
			n.uris = append(n.uris, s)
		} else if local, domain, ok := strings.Cut(s, "@"); ok && local != "" && dnsShape.MatchString(strings.ToLower(domain)) {
			n.emails = append(n.emails, s)
		} else if lower := strings.ToLower(s); dnsShape.MatchString(lower) {
			n.dns = append(n.dns, lower)
		} else {
			return names{}, fmt.Errorf("allow_client %q: not a DNS name, URI, e-mail or IP address as in the client certificate, without wildcards", s)
		}
	}
	return n, nil
}

// match returns the first name of the certificate that is in n, as written in the certificate.
func (n names) match(cert *x509.Certificate) (san string, ok bool) {
	for _, name := range cert.DNSNames {
		if slices.Contains(n.dns, strings.ToLower(name)) {
			return name, true
		}
	}
	for _, u := range cert.URIs {
		if slices.Contains(n.uris, u.String()) {
			return u.String(), true
		}
	}
	for _, e := range cert.EmailAddresses {
		if slices.Contains(n.emails, e) {
			return e, true
		}
	}
	for _, raw := range cert.IPAddresses {
		if ip, valid := netip.AddrFromSlice(raw); valid && slices.Contains(n.ips, ip.Unmap()) {
			return ip.String(), true
		}
	}
	return "", false
}

// checkUsers checks that a user id can match each pattern.
func checkUsers(patterns []string) error {
	for _, p := range patterns {
		if !userShape.MatchString(p) {
			return fmt.Errorf("users %q: not a user id in which * stands for any characters, such as 5550*", p)
		}
	}
	return nil
}

// serves reports whether sub matches one of the patterns; no patterns match every sub. checkUsers and subShape leave
// * as the only character that path.Match treats specially.
func serves(patterns []string, sub string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, sub)
		return ok && err == nil
	})
}
