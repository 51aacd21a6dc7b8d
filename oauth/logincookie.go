package oauth

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	maxCookie  = 4000    // bytes of a name and its value, of which browsers keep 4096
	maxCookies = 6 << 10 // bytes of all logins of a browser; who stands before us may take 8 KiB in one line
)

// loginCookies begins the names of the cookies in which a browser keeps its logins, one each, so that two tabs can sign
// in at one time. On https it keeps other hosts of the site, and plain http, from planting one.
func loginCookies(base *url.URL) string {
	if strings.EqualFold(base.Scheme, "https") {
		return "__Host-countersign-login-"
	}
	return "countersign-login-"
}

// loginCookie is the cookie of the login with this state of ours. It goes along when the provider sends the browser
// back, which SameSite=Strict would prevent.
func loginCookie(base *url.URL, ours, value string) *http.Cookie {
	return namedCookie(base, loginCookies(base)+digest("login cookie", ours)[:16], value, int(loginLife/time.Second))
}

func namedCookie(base *url.URL, name, value string, seconds int) *http.Cookie {
	c := &http.Cookie{Name: name, Value: value, Path: base.Path + "/", MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if strings.HasPrefix(name, "__Host-") {
		c.Path, c.Secure = "/", true
	}
	return c
}

func cookieSize(c *http.Cookie) int { return len(c.Name) + len(c.Value) }

// keepLogin has the browser keep a login, and forget its oldest where they grow too many: those whose person never came
// back are sent along with every request for ten minutes. Browsers send the oldest first (RFC 6265 §5.4).
func keepLogin(w http.ResponseWriter, r *http.Request, base *url.URL, kept *http.Cookie) {
	var shown []*http.Cookie
	size := cookieSize(kept)
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, loginCookies(base)) {
			shown, size = append(shown, c), size+cookieSize(c)
		}
	}
	for ; size > maxCookies && len(shown) > 0; shown = shown[1:] {
		size -= cookieSize(shown[0])
		http.SetCookie(w, namedCookie(base, shown[0].Name, "", -1))
	}
	http.SetCookie(w, kept)
}

// shownLogin is what the browser shows of the login with this state, or "".
func shownLogin(r *http.Request, base *url.URL, ours string) string {
	shown := r.CookiesNamed(loginCookie(base, ours, "").Name)
	if len(shown) != 1 { // two: one was planted
		return ""
	}
	return shown[0].Value
}

// forgetLogin has the browser forget a login that is over.
func forgetLogin(w http.ResponseWriter, base *url.URL, ours string) {
	http.SetCookie(w, namedCookie(base, loginCookie(base, ours, "").Name, "", -1))
}
