package smartcard

import (
	"crypto/x509"
	"net"
	"net/url"
	"testing"
)

// A name of one kind never matches one of another, whatever a CA wrote where.
func TestNamesKeepTheirKind(t *testing.T) {
	allow, err := parseNames([]string{"gw.example", "spiffe://gw.example/a", "urn:gw:1", "gw@mail.example", "192.0.2.7", "2001:db8::7"})
	if err != nil {
		t.Fatal(err)
	}
	everything := []string{"gw.example", "spiffe://gw.example/a", "urn:gw:1", "gw@mail.example", "192.0.2.7", "2001:db8::7"}
	var dns, emails, uris x509.Certificate
	for _, name := range everything {
		if name != "gw.example" {
			dns.DNSNames = append(dns.DNSNames, name)
		}
		if name != "gw@mail.example" {
			emails.EmailAddresses = append(emails.EmailAddresses, name)
		}
		if name != "spiffe://gw.example/a" && name != "urn:gw:1" {
			uris.URIs = append(uris.URIs, &url.URL{Path: name})
		}
	}
	for _, cert := range []*x509.Certificate{&dns, &emails, &uris, {Subject: dns.Subject}, {IPAddresses: []net.IP{{1, 2, 3}}}} {
		if san, ok := allow.match(cert); ok {
			t.Errorf("%q: allowed, want refused", san)
		}
	}
	for _, cert := range []*x509.Certificate{
		{DNSNames: []string{"other.example", "GW.Example"}},
		{URIs: []*url.URL{{Scheme: "spiffe", Host: "gw.example", Path: "/a"}}},
		{URIs: []*url.URL{{Scheme: "urn", Opaque: "gw:1"}}},
		{EmailAddresses: []string{"gw@mail.example"}},
		{IPAddresses: []net.IP{net.ParseIP("192.0.2.7")}},
		{IPAddresses: []net.IP{net.ParseIP("2001:db8::7")}},
	} {
		if _, ok := allow.match(cert); !ok {
			t.Errorf("%+v: refused, want allowed", cert)
		}
	}
}

func TestServes(t *testing.T) {
	tests := []struct {
		patterns []string
		sub      string
		want     bool
	}{
		{nil, "1", true},
		{[]string{"*"}, "1", true},
		{[]string{"5550*"}, "5550", true},
		{[]string{"5550*"}, "555086689106", true},
		{[]string{"5550*"}, "655500000000", false},
		{[]string{"555086689106"}, "5550866891060", false},
		{[]string{"*106"}, "555086689106", true},
		{[]string{"5*8*6"}, "555086689106", true},
		{[]string{"5*7*6"}, "555086689106", false},
		{[]string{"1*", "5*"}, "555086689106", true},
		{[]string{"5.5*"}, "555086689106", false},
	}
	for _, test := range tests {
		if err := checkUsers(test.patterns); err != nil {
			t.Error(err)
		}
		if got := serves(test.patterns, test.sub); got != test.want {
			t.Errorf("serves(%q, %s) = %v", test.patterns, test.sub, got)
		}
	}
}
