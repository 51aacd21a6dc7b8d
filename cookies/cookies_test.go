package cookies

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	secure = &url.URL{Scheme: "https", Host: "gateway.example", Path: "/base"}
	plain  = &url.URL{Scheme: "http", Host: "gateway.example", Path: "/base"}
)

// A __Host- cookie has the attributes that browsers require (RFC 6265bis §4.1.3.2).
func TestNames(t *testing.T) {
	for _, base := range []*url.URL{secure, {Scheme: "HTTPS", Host: "gateway.example"}} {
		c := New(base, "/client", "page", "v", time.Hour)
		if c.Name != "__Host-page" || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.MaxAge != 3600 || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("cookie at %s: got %v", base, c)
		}
	}
	if c := New(plain, "/client", "page", "v", time.Millisecond); c.Name != "page" || c.Secure || c.Path != "/base/client" || c.MaxAge != 1 {
		t.Errorf("cookie on plain http: got %v", c)
	}
	if c := New(secure, "/", "page", "", 0); c.MaxAge >= 0 || !c.Secure || c.Path != "/" {
		t.Errorf("cookie for removal: got %v", c)
	}
}

func TestValue(t *testing.T) {
	for header, want := range map[string]string{
		"":                                   "",
		"page=planted":                       "",
		"__Host-page=v":                      "v",
		"page=planted; __Host-page=v":        "v",
		"__Host-page=v; __Host-page=planted": "",
		"__host-page=planted":                "",
		"__Host-page=v; other=x":             "v",
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Cookie", header)
		if got := Value(r, secure, "page"); got != want {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
}

// A sign-in that is too large is refused, and the oldest sign-ins make room for new ones.
func TestSignInsAreBounded(t *testing.T) {
	shown := map[string]string{}
	var order []string
	for i := range 12 {
		id := strconv.Itoa(i)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for _, name := range order {
			if value, still := shown[name]; still {
				r.AddCookie(&http.Cookie{Name: name, Value: value})
			}
		}
		r.AddCookie(&http.Cookie{Name: "other", Value: strings.Repeat("x", 3000)})
		w := httptest.NewRecorder()
		if err := KeepSignIn(w, r, secure, id, strings.Repeat("v", 1000), SignInLife); err != nil {
			t.Fatal(err)
		}
		for _, c := range w.Result().Cookies() {
			if order = append(order, c.Name); c.MaxAge < 0 {
				delete(shown, c.Name)
			} else {
				shown[c.Name] = c.Value
			}
		}
		size := 0
		for name, value := range shown {
			size += len(name) + len(value)
		}
		if _, kept := shown["__Host-countersign-login-"+id]; !kept || size > maxSignIns {
			t.Fatalf("after %d sign-ins the browser has %d bytes, includes the last: %t", i+1, size, kept)
		}
	}
	if len(shown) < 5 {
		t.Errorf("got %d sign-ins, want the 5 that fit", len(shown))
	}
	w := httptest.NewRecorder()
	err := KeepSignIn(w, httptest.NewRequest(http.MethodGet, "/", nil), secure, "id", strings.Repeat("v", maxSignIn), SignInLife)
	if err == nil || len(w.Result().Cookies()) > 0 {
		t.Errorf("sign-in that browsers would drop: got %v and cookies %v, want ErrTooLarge and none", err, w.Result().Cookies())
	}
}

func TestSeal(t *testing.T) {
	secret := bytes.Repeat([]byte{1}, 32)
	sealed, err := Seal(secret, "this", []byte("text"))
	if err != nil || strings.Contains(sealed, "text") {
		t.Fatal(sealed, err)
	}
	if again, err := Seal(secret, "this", []byte("text")); err != nil || again == sealed {
		t.Errorf("sealing twice: got %s, %v, want different texts", again, err)
	}
	for name, c := range map[string]struct {
		secret  []byte
		purpose string
		sealed  string
		want    string
	}{
		"right":           {secret, "this", sealed, "text"},
		"another secret":  {bytes.Repeat([]byte{2}, 32), "this", sealed, ""},
		"another purpose": {secret, "that", sealed, ""},
		"cut off":         {secret, "this", sealed[:len(sealed)-2], ""},
		"padded":          {secret, "this", sealed + "=", ""},
		"nothing":         {secret, "this", "", ""},
		"too long":        {secret, "this", strings.Repeat("A", 1<<20), ""},
	} {
		if text, err := Open(c.secret, c.purpose, c.sealed); err != nil || string(text) != c.want {
			t.Errorf("%s: got %q, %v, want %q", name, text, err, c.want)
		}
	}
}
