package cookies

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Each sign-in in progress has its own cookie, so that two tabs can sign in at the same time (decision 0007).
const (
	SignInLife = 10 * time.Minute // time for a person to sign in

	signIns    = "countersign-login-"
	signInPath = "/"
	maxSignIn  = 4000    // bytes of a name and its value; browsers keep 4096
	maxSignIns = 6 << 10 // bytes of all sign-ins of a browser; a proxy may accept 8 KiB per line
)

// ErrTooLarge is returned for a sign-in that browsers would drop silently.
var ErrTooLarge = errors.New("the sign-in is too large for a cookie")

// KeepSignIn sets the cookie of a sealed sign-in under an id, which must not reveal its state, for its life. If all sign-ins
// of the host are too large together, the oldest are removed: an abandoned sign-in is sent with every request until it
// expires. Browsers send the oldest cookie first (RFC 6265 §5.4).
func KeepSignIn(w http.ResponseWriter, r *http.Request, base *url.URL, id, sealed string, life time.Duration) error {
	kept := New(base, signInPath, signIns+id, sealed, life)
	if size(kept) > maxSignIn {
		return ErrTooLarge
	}
	var shown []*http.Cookie
	total := size(kept)
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, Name(base, signIns)) {
			shown, total = append(shown, c), total+size(c)
		}
	}
	for ; total > maxSignIns && len(shown) > 0; shown = shown[1:] {
		total -= size(shown[0])
		ForgetSignIn(w, base, strings.TrimPrefix(shown[0].Name, Name(base, signIns)))
	}
	http.SetCookie(w, kept)
	return nil
}

// SignIn returns the sealed sign-in with this id, or "".
func SignIn(r *http.Request, base *url.URL, id string) string { return Value(r, base, signIns+id) }

// ForgetSignIn removes the cookie of a sign-in.
func ForgetSignIn(w http.ResponseWriter, base *url.URL, id string) {
	http.SetCookie(w, New(base, signInPath, signIns+id, "", 0))
}

func size(c *http.Cookie) int { return len(c.Name) + len(c.Value) }
