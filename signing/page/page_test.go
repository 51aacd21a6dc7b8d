package page_test

import (
	"bytes"
	"io/fs"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/signing/page"
)

func render(t *testing.T, data page.Data) string {
	t.Helper()
	var out bytes.Buffer
	if err := page.Render(&out, data); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheShellCarriesTheCSRFValueEscaped(t *testing.T) {
	html := render(t, page.Data{CSRF: `a"><script>alert(1)</script>`, Environment: "prod"})
	if !strings.Contains(html, `<meta name="csrf" content="a&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">`) {
		t.Errorf("the CSRF value is not in the shell as an escaped attribute:\n%s", html)
	}
}

func TestTheTestBannerIsMissingInProductionOnly(t *testing.T) {
	for environment, words := range map[string]string{
		"prod":    "",
		"int":     "This is the integration environment.",
		"sandbox": "This is the sandbox environment.",
		"":        "This is the test environment.",
		"PROD":    "This is the test environment.",
	} {
		html := render(t, page.Data{CSRF: "x", Environment: environment})
		if got := strings.Contains(html, "Test environment"); got != (words != "") {
			t.Errorf("environment %q: banner %t", environment, got)
		}
		if !strings.Contains(html, words) {
			t.Errorf("environment %q: %q is not said", environment, words)
		}
	}
}

// The base path is unknown, and the policy knows no inline script or style.
func TestTheShellHasRelativeAddressesAndNothingInline(t *testing.T) {
	html := render(t, page.Data{CSRF: "x", Environment: "int"})
	for _, address := range addresses(html) {
		if !strings.HasPrefix(address, "page/") && !strings.HasPrefix(address, "#") {
			t.Errorf("address %q is not relative to the base path", address)
		}
	}
	for _, inline := range []string{`<style`, ` style=`, ` onclick=`, ` onload=`, `javascript:`} {
		if strings.Contains(html, inline) {
			t.Errorf("the shell has %s", inline)
		}
	}
	if scripts := regexp.MustCompile(`<script[^>]*>[^<]`).FindString(html); scripts != "" {
		t.Errorf("the shell has an inline script: %s", scripts)
	}
}

func TestEveryAssetTheShellNamesIsServed(t *testing.T) {
	assets := page.Assets()
	for _, address := range addresses(render(t, page.Data{Environment: "int"})) {
		if strings.HasPrefix(address, "#") {
			continue
		}
		if res := get(assets, "/signing-service/"+address, nil); res.Code != http.StatusOK {
			t.Errorf("%s: %d", address, res.Code)
		}
	}
}

func addresses(html string) []string {
	var found []string
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		found = append(found, match[1])
	}
	return found
}

func TestAssets(t *testing.T) {
	assets := page.Assets()
	names, err := fs.Glob(os.DirFS("assets"), "*")
	if err != nil || len(names) == 0 {
		t.Fatalf("no assets: %v", err)
	}
	want := map[string]string{".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			res := get(assets, "/page/"+name, nil)
			content, err := os.ReadFile(path.Join("assets", name))
			if err != nil {
				t.Fatal(err)
			}
			if res.Code != http.StatusOK || !bytes.Equal(res.Body.Bytes(), content) {
				t.Fatalf("answered %d with %d bytes, the file has %d", res.Code, res.Body.Len(), len(content))
			}
			mediaType, _, err := mime.ParseMediaType(res.Header().Get("Content-Type"))
			if err != nil || mediaType != want[path.Ext(name)] {
				t.Errorf("Content-Type %q", res.Header().Get("Content-Type"))
			}
			if got := res.Header().Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("X-Content-Type-Options %q", got)
			}
			if got := res.Header().Get("Cache-Control"); got != "no-cache" {
				t.Errorf("Cache-Control %q", got)
			}
			etag := res.Header().Get("ETag")
			if !regexp.MustCompile(`^"[\w-]{43}"$`).MatchString(etag) {
				t.Fatalf("ETag %q is not a strong one over the content", etag)
			}
			again := get(assets, "/page/"+name, http.Header{"If-None-Match": {etag}})
			if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
				t.Errorf("asked with its ETag: %d with %d bytes", again.Code, again.Body.Len())
			}
		})
	}
}

func TestAssetsRefuse(t *testing.T) {
	assets := page.Assets()
	for _, target := range []string{"/page/", "/page/shell.html", "/page/page.go", "/page/nothing.js", "/page/..", "/page/assets"} {
		if res := get(assets, target, nil); res.Code != http.StatusNotFound {
			t.Errorf("GET %s: %d", target, res.Code)
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		res := httptest.NewRecorder()
		assets.ServeHTTP(res, httptest.NewRequest(method, "/page/app.js", nil))
		if res.Code != http.StatusMethodNotAllowed || res.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, res.Code, res.Header().Get("Allow"))
		}
	}
}

func TestHeadOfAnAssetHasNoBody(t *testing.T) {
	res := httptest.NewRecorder()
	page.Assets().ServeHTTP(res, httptest.NewRequest(http.MethodHead, "/page/app.js", nil))
	if res.Code != http.StatusOK || res.Body.Len() != 0 || res.Header().Get("Content-Length") == "0" {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %s", res.Code, res.Body.Len(), res.Header().Get("Content-Length"))
	}
}

func TestThePolicyAllowsOwnFilesOnly(t *testing.T) {
	policy := map[string]string{}
	for _, directive := range strings.Split(page.Data{}.CSP(), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), " ")
		policy[name] = value
	}
	for name, value := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
		"form-action": "'none'", "base-uri": "'none'", "frame-ancestors": "'none'",
	} {
		if policy[name] != value {
			t.Errorf("%s is %q, want %q", name, policy[name], value)
		}
	}
	if csp := (page.Data{}).CSP(); strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
		t.Errorf("the policy is not strict: %s", csp)
	}
}

// What the policy enforces at run time is kept in the source as well: no string becomes markup or code.
func TestTheScriptMakesNoMarkupFromText(t *testing.T) {
	names, err := fs.Glob(os.DirFS("assets"), "*.js")
	if err != nil {
		t.Fatal(err)
	}
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|window\.(confirm|alert)|beforeunload`)
	for _, name := range names {
		content, err := os.ReadFile(path.Join("assets", name))
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(content); found != nil {
			t.Errorf("%s uses %s", name, found)
		}
	}
}

func get(h http.Handler, target string, header http.Header) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodGet, target, nil)
	for name, values := range header {
		req.Header[name] = values
	}
	res := httptest.NewRecorder()
	h.ServeHTTP(res, req)
	return res
}
