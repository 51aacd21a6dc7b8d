package gateway

import (
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// Person is somebody with a browser at a client system's own pages.
type Person struct {
	t    testing.TB
	http *http.Client
}

// NewPerson opens a fresh browser.
func NewPerson(t testing.TB) *Person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &Person{t: t, http: newHTTP()}
	p.http.Jar = jar
	return p
}

// Press sends a form of the page at address to action, and returns where it leads.
func (p *Person) Press(address, action string, fields url.Values) string {
	p.t.Helper()
	request, err := http.NewRequest(http.MethodPost, address+action, strings.NewReader(fields.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", originOf(address))
	answer := do(p.t, p.http, request)
	if answer.Status/100 != 3 {
		p.t.Fatalf("%s%s leads nowhere: %d %.1000s", address, action, answer.Status, answer.Body)
	}
	return answer.Header.Get("Location")
}

// See loads a page.
func (p *Person) See(address string) string {
	p.t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	if err != nil {
		p.t.Fatal(err)
	}
	answer := do(p.t, p.http, request)
	if answer.Status/100 == 3 { // the page may clean its address
		return p.See(absolute(address, answer.Header.Get("Location")))
	}
	if answer.Status != http.StatusOK {
		p.t.Fatalf("%s: %d %.1000s", address, answer.Status, answer.Body)
	}
	return string(answer.Body)
}

// originOf is scheme, host and port of an address.
func originOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

func absolute(base, reference string) string {
	b, err := url.Parse(base)
	if err != nil {
		return reference
	}
	r, err := b.Parse(reference)
	if err != nil {
		return reference
	}
	return r.String()
}
