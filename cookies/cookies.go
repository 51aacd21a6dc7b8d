// Package cookies names, seals and bounds what a browser carries for the gateway from one request to the next.
//
// On https every name begins with __Host-. A browser accepts such a cookie only over TLS and only from the host it will be
// sent to (RFC 6265bis §4.1.3.2), so no other host of the domain and no one on plain http can plant one. Its Path is then
// "/": services with different base paths on one host share the cookie, and each must bind what it derives from it to its
// own public URL. On plain http there is no such protection, and names have no prefix.
//
// The package stores nothing, knows no session and no provider, and never includes a value in an error.
package cookies

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

const hostPrefix = "__Host-"

// Name returns the full name of a cookie at a service with this public URL.
func Name(base *url.URL, name string) string {
	if strings.EqualFold(base.Scheme, "https") {
		return hostPrefix + name
	}
	return name
}

// New returns a cookie that scripts cannot read (HttpOnly, SameSite=Lax). It is sent when a link from another site leads
// here, but not with other requests of that site. On plain http it is sent only below path, which is relative to base. A
// life of zero or less removes the cookie.
func New(base *url.URL, path, name, value string, life time.Duration) *http.Cookie {
	cookie := &http.Cookie{
		Name: Name(base, name), Value: value, Path: base.Path + path, MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if life > 0 {
		cookie.MaxAge = max(int(life/time.Second), 1)
	}
	if strings.HasPrefix(cookie.Name, hostPrefix) {
		cookie.Path, cookie.Secure = "/", true
	}
	return cookie
}

// Value returns the cookie's value, or "" if the name occurs more than once, because then one of them was planted.
func Value(r *http.Request, base *url.URL, name string) string {
	shown := r.CookiesNamed(Name(base, name))
	if len(shown) != 1 {
		return ""
	}
	return shown[0].Value
}
