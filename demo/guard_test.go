package demo

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestForgedRequestsAreRefused(t *testing.T) {
	s := newSite(t, Options{})
	for name, change := range map[string]func(http.Header){
		"another site":            func(h http.Header) { h.Set("Sec-Fetch-Site", "cross-site"); h.Set("Origin", "https://evil.example") },
		"a sibling":               func(h http.Header) { h.Set("Sec-Fetch-Site", "same-site") },
		"another origin, no hint": func(h http.Header) { h.Del("Sec-Fetch-Site"); h.Set("Origin", "https://evil.example") },
		"another port":            func(h http.Header) { h.Del("Sec-Fetch-Site"); h.Set("Origin", "http://127.0.0.1:1") },
		"no origin to speak of":   func(h http.Header) { h.Del("Sec-Fetch-Site"); h.Set("Origin", "null") },
	} {
		status, page := s.press(t, func(_ url.Values, h http.Header) { change(h) })
		if status != http.StatusForbidden || !strings.Contains(page, "another site") {
			t.Errorf("%s: got status %d", name, status)
		}
	}
	if n := s.service.sent(); n != 0 {
		t.Errorf("got %d requests, want none", n)
	}
	// What is no browser, and an older one, may.
	for name, change := range map[string]func(http.Header){
		"neither header": func(h http.Header) { h.Del("Sec-Fetch-Site"); h.Del("Origin") },
		"origin alone":   func(h http.Header) { h.Del("Sec-Fetch-Site") },
	} {
		if status, _ := s.press(t, func(_ url.Values, h http.Header) { change(h) }); status != http.StatusOK {
			t.Errorf("%s: got status %d", name, status)
		}
	}
}

func TestFormErrorsAreSaid(t *testing.T) {
	s := newSite(t, Options{})
	for name, c := range map[string]struct {
		field, value string
		want         []string
	}{
		"short user id":     {"sub", "12345", []string{"Enter a user id of 12 digits", `value="12345"`, `aria-invalid="true"`, "<title>Error: "}},
		"letters":           {"sub", `55508668910"><script>`, []string{"Enter a user id of 12 digits", `&#34;&gt;&lt;script&gt;`}},
		"no user id":        {"sub", "", []string{"Enter a user id of 12 digits"}},
		"unknown algorithm": {"algorithm", "PS256", []string{"Choose RS256 or RS1"}},
		"two":               {"count", "2", []string{"Choose how many"}},
		"very many":         {"count", "251", []string{"Choose how many"}},
		"no number":         {"count", "", []string{"Choose how many"}},
		"a large form":      {"sub", strings.Repeat("1", 5000), []string{"could not be read"}},
	} {
		status, page := s.press(t, func(form url.Values, _ http.Header) { form.Set(c.field, c.value) })
		if status != http.StatusBadRequest {
			t.Errorf("%s: got status %d", name, status)
		}
		expect(t, page, append(c.want, "There is a problem")...)
	}
	if n := s.service.sent(); n != 0 {
		t.Errorf("got %d requests, want none", n)
	}
	status, page := s.press(t, func(form url.Values, _ http.Header) { form.Set("sub", " 555 086 689 106 ") })
	if status != http.StatusOK {
		t.Errorf("spaces in a number: got status %d", status)
	}
	expect(t, page, "3 of 3")
}

func TestAnswersAreGuarded(t *testing.T) {
	s := newSite(t, Options{})
	for path, referrer := range map[string]string{
		"/demo/": "same-origin", "/demo/signed": "no-referrer", "/demo/assets/demo.css": "same-origin", "/demo/nowhere": "same-origin", "/demo/jwks.json": "same-origin",
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		resp, err := s.browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		h := resp.Header
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "script") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != referrer {
			t.Errorf("%s: got headers %v", path, h)
		}
		if h.Get("Cache-Control") != "no-store" && !strings.Contains(path, "assets") {
			t.Errorf("%s may be stored", path)
		}
	}
	for path, want := range map[string]int{
		"/demo/assets/demo.css": 200, "/demo/assets/icon.svg": 200, "/demo/assets/": 404, "/demo/assets/none.css": 404, "/demo/templates/frame.html": 404,
	} {
		if status, _ := s.get(t, path); status != want {
			t.Errorf("%s: got status %d", path, status)
		}
	}
	// Going back to the form's address leads to the form.
	if status, page := s.get(t, "/demo/sign"); status != http.StatusOK || !strings.Contains(page, "Sign 3 prescriptions") {
		t.Errorf("GET sign: got status %d", status)
	}
}

func TestCookieOfABatch(t *testing.T) {
	for publicURL, secure := range map[string]bool{"": false, "https://demo.test/demo": true} {
		s := newSite(t, Options{PublicURL: publicURL})
		s.demo.options.ServiceURL = s.URL + "/signing-service"
		s.browser.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/demo/sign",
			strings.NewReader("count=1&sub=555086689106&algorithm=RS256"))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := s.browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		cookies := resp.Cookies()
		if len(cookies) != 1 || resp.StatusCode != http.StatusSeeOther {
			t.Fatalf("got status %d, cookies %v", resp.StatusCode, cookies)
		}
		if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Secure != secure || c.Domain != "" || c.MaxAge != 3600 {
			t.Errorf("%+v", c)
		}
	}
}

func TestLoopbackOrigin(t *testing.T) {
	tcp := func(address string) net.Addr {
		parsed, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, c := range []struct {
		local net.Addr
		host  string
		tls   bool
		want  string
	}{
		{tcp("127.0.0.1:8080"), "localhost:8080", false, "http://localhost:8080"},
		{tcp("127.0.0.1:8080"), "LocalHost:8080", false, "http://localhost:8080"},
		{tcp("127.0.0.1:8080"), "demo.localhost:8080", false, "http://demo.localhost:8080"},
		{tcp("[::1]:8080"), "[::1]:8080", false, "http://[::1]:8080"},
		{tcp("127.0.0.1:80"), "127.0.0.1", false, "http://127.0.0.1"},
		{tcp("127.0.0.1:443"), "localhost", true, "https://localhost"},
		{tcp("127.0.0.1:8080"), "localhost:9090", false, ""},
		{tcp("127.0.0.1:8080"), "localhost", false, ""},
		{tcp("127.0.0.1:8080"), "evil.example:8080", false, ""},
		{tcp("127.0.0.1:8080"), "localhost.evil.example:8080", false, ""},
		{tcp("127.0.0.1:8080"), "10.0.0.1:8080", false, ""},
		{tcp("127.0.0.1:8080"), "localhost@evil.example:8080", false, ""},
		{tcp("127.0.0.1:8080"), "", false, ""},
		{tcp("10.0.0.5:8080"), "localhost:8080", false, ""},
		{&net.UnixAddr{Name: "/run/x", Net: "unix"}, "localhost:8080", false, ""},
		{nil, "localhost:8080", false, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host, r.TLS = c.host, nil
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if c.local != nil {
			r = r.WithContext(contextWithLocal(r, c.local))
		}
		got, err := loopbackOrigin(r)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%v, Host %q: got %q, error %v", c.local, c.host, got, err)
		}
	}
}

func TestPublicURLIsTheOnlyOrigin(t *testing.T) {
	s := newSite(t, Options{PublicURL: "https://Demo.test:443/demo/"})
	s.demo.options.ServiceURL = s.URL + "/signing-service"
	for origin, want := range map[string]int{"https://demo.test": 200, s.URL: 403} {
		s.browser.CheckRedirect = nil
		status, _ := s.press(t, func(_ url.Values, h http.Header) { h.Set("Origin", origin) })
		// Its cookie is for https, so this browser comes back unknown; but the request was sent.
		if sent := status != http.StatusForbidden; sent != (want == 200) {
			t.Errorf("origin %s: got status %d", origin, status)
		}
	}
	at, err := newDemo(t, Options{PublicURL: "https://demo.test:8443/demo", Vault: &memoryVault{}}).placeOf(httptest.NewRequest(http.MethodGet, "/", nil))
	if err != nil || at != (place{"https://demo.test:8443", "https://demo.test:8443/signing-service"}) {
		t.Errorf("got %+v, error %v", at, err)
	}
	// Without one, a visit from elsewhere gets an explanation and nothing is sent.
	without := newDemo(t, Options{Vault: &memoryVault{}})
	w := httptest.NewRecorder()
	without.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/sign", nil))
	if w.Code != http.StatusMisdirectedRequest || !strings.Contains(w.Body.String(), "public URL") {
		t.Errorf("got status %d, body %s", w.Code, w.Body)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"no vault":                {},
		"a path as client id":     {Vault: &memoryVault{}, ClientID: "../x"},
		"a relative address":      {Vault: &memoryVault{}, PublicURL: "/demo"},
		"another scheme":          {Vault: &memoryVault{}, ServiceURL: "ftp://h/x"},
		"an address with a query": {Vault: &memoryVault{}, Audience: "https://h/x?y"},
	} {
		if d, err := New(o); err == nil || d != nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
