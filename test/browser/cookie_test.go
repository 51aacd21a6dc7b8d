package browser_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// evil is another host of the domain, whose pages may set any cookie for all of it.
type evil struct {
	*httptest.Server
	address string
}

func newEvil(t *testing.T, secure bool, handler http.HandlerFunc) *evil {
	t.Helper()
	e := &evil{Server: httptest.NewUnstartedServer(handler), address: "http://evil.trust.example:"}
	if secure {
		e.address = "https://evil.trust.example:"
		e.StartTLS()
	} else {
		e.Start()
	}
	t.Cleanup(e.Close)
	_, port, err := net.SplitHostPort(e.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	e.address += port
	return e
}

// planting is a page that tries every way to have the browser keep a cookie of the attacker's for the signing page.
func planting(value string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var scripted strings.Builder
		for _, name := range []string{"countersign-page", "__Host-countersign-page", "__host-countersign-page", "__Secure-countersign-page"} {
			for _, attributes := range []string{
				"; Domain=trust.example; Path=/", "; Domain=trust.example; Path=/; Secure", "; Domain=trust.example; Path=/main/client",
				"; Domain=trust.example; Path=/main/client/", "; Domain=sign.trust.example; Path=/",
			} {
				w.Header().Add("Set-Cookie", name+"="+value+attributes)
				w.Header().Add("Set-Cookie", "="+name+"="+value+attributes) // without a name
				fmt.Fprintf(&scripted, "document.cookie = %q; document.cookie = %q;\n", name+"="+value+attributes, "="+name+"="+value+attributes)
			}
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Evil</title><link rel="icon" href="data:,"><h1>Planted</h1><script>%s</script>`, scripted.String())
	}
}

// Another host of the domain plants what it knows, over plain http and over TLS, and learns the token. Once the person
// has opened the request it presses, from outside and from its own page in the person's browser: it is refused.
func TestAnotherHostOfTheDomainPresses(t *testing.T) {
	d := newDomain(t, nginx(t))
	chromium := d.browser(t)
	for _, secure := range []bool{false, true} {
		t.Run(map[bool]string{false: "planted over plain http", true: "planted over TLS"}[secure], func(t *testing.T) {
			link := d.link(t)
			attacker := gateway.VisitBy(t, d.transport(), link)
			attacker.Origin = strings.TrimSuffix(d.public, "/main")
			known := attacker.Cookies()
			if len(known) != 1 {
				t.Fatalf("the attacker was given %v", known)
			}
			e := newEvil(t, secure, planting(known[0].Value))
			b := open(chromium, t, chromedp.WithNewBrowserContext())
			b.goTo(e.address)
			b.waitHeading("Planted")
			b.goTo(link)
			b.waitHeading("Sign 1 item for Acme EPR")
			attacker.ID = strings.TrimPrefix(eval[string](b, "location.search"), "?session=")

			if a := attacker.TryOpen(); a.Status != http.StatusConflict || a.Failure(t).Code != "opened_elsewhere" {
				t.Errorf("the attacker opens it: %d %s", a.Status, a.Body)
			}
			for what, a := range map[string]gateway.Answer{"signs": attacker.TrySign(), "cancels": attacker.Cancel()} {
				if a.Status != http.StatusNotFound {
					t.Errorf("the attacker %s: %d %s", what, a.Status, a.Body)
				}
			}

			other := b.newTab() // the attacker's page in another tab
			other.expectFault("CORS")
			other.goTo(e.address)
			other.waitHeading("Planted")
			press := `(async () => { try { return (await fetch(%q, {method: "POST", credentials: "include", mode: %q,
				headers: {"Content-Type": %q, "X-CSRF-Token": %q}, body: JSON.stringify({id: %q})})).type } catch (e) { return "refused" } })()`
			for mode, mediaType := range map[string]string{"cors": "application/json", "no-cors": "text/plain"} {
				for _, path := range []string{"/client/sign", "/client/cancel", "/client/browser"} {
					got := eval[string](other, fmt.Sprintf(press, d.public+path, mode, mediaType, attacker.CSRF, attacker.ID))
					if got != "refused" && got != "opaque" {
						t.Errorf("%s by the attacker's page (%s): %s", path, mode, got)
					}
				}
			}
			b.press("Sign 1 item for Acme EPR")
			b.waitHeading("Back at Acme EPR")
		})
	}
}

// A browser opens 300 requests, behind an nginx that takes what nginx takes by default.
func TestManySessionsBehindNginx(t *testing.T) {
	d := newDomain(t, nginx(t))
	b := open(d.browser(t), t)
	first := d.link(t)
	b.goTo(first)
	b.waitHeading("Sign 1 item for Acme EPR")
	const all = 300
	var queries []string
	for range all - 2 {
		_, query, _ := strings.Cut(d.link(t), "?")
		queries = append(queries, query)
	}
	// The page's own call, as often as it is said.
	for some := range slices.Chunk(queries, 50) {
		refused := eval[string](b, fmt.Sprintf(`(async () => {
			const wire = await import("./page/wire.js");
			for (const query of %s) {
				try { await wire.open("?" + query) } catch (e) { return String(e.status) + " " + e.message }
			}
			return "";
		})()`, quoteAll(some)))
		if refused != "" {
			t.Fatalf("one of %d requests in one browser was refused: %s", all, refused)
		}
	}
	b.goTo(d.link(t))
	b.press("Sign 1 item for Acme EPR")
	b.waitHeading("Back at Acme EPR")
	b.goTo(first)
	b.press("Sign 1 item for Acme EPR")
	b.waitHeading("Back at Acme EPR")
}

func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = fmt.Sprintf("%q", text)
	}
	return "[" + strings.Join(quoted, ",") + "]"
}

// tardy is a proxy that has two pages loaded before either arrives, and lets the second arrive after the first tab has
// opened its request.
type tardy struct {
	mu     sync.Mutex
	loads  int
	both   chan struct{} // closed when two pages were asked for
	opened chan struct{} // closed when a request was opened
}

func (y *tardy) front(t *testing.T) func(d *domain, port, to string) {
	return func(d *domain, port, to string) {
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: to})
		forward := func(w http.ResponseWriter, r *http.Request) {
			r.Host = "localhost"
			proxy.ServeHTTP(w, r)
		}
		listener, err := net.Listen("tcp", "127.0.0.1:"+port) //nolint:noctx // on loopback, at once
		if err != nil {
			t.Fatal(err)
		}
		certificate, err := tls.LoadX509KeyPair(d.cert, d.key)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{ReadHeaderTimeout: time.Minute, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/main/client":
				kept := httptest.NewRecorder()
				forward(kept, r)
				y.mu.Lock()
				y.loads++
				mine := y.loads
				if mine == 2 {
					close(y.both)
				}
				y.mu.Unlock()
				y.await(r, y.both)
				if mine == 2 {
					y.await(r, y.opened)
				}
				for name, values := range kept.Header() {
					w.Header()[name] = values
				}
				w.WriteHeader(kept.Code)
				_, _ = w.Write(kept.Body.Bytes())
			case "/main/client/open":
				forward(w, r)
				y.mu.Lock()
				defer y.mu.Unlock()
				select {
				case <-y.opened:
				default:
					close(y.opened)
				}
			default:
				forward(w, r)
			}
		})}
		go func() { _ = server.ServeTLS(listener, "", "") }()
		t.Cleanup(func() { _ = server.Close() })
	}
}

func (y *tardy) await(r *http.Request, done chan struct{}) {
	select {
	case <-done:
	case <-r.Context().Done():
	}
}

// The first two tabs of a browser load at one time, and the page of the second arrives late. Both work.
func TestTwoFirstTabsRace(t *testing.T) {
	y := &tardy{both: make(chan struct{}), opened: make(chan struct{})}
	d := newDomain(t, y.front(t))
	links := []string{d.link(t), d.link(t)}
	first := open(d.browser(t), t)
	second := first.newTab()
	for i, b := range []*tab{first, second} {
		eval[bool](b, fmt.Sprintf("(setTimeout(() => location.assign(%q)), true)", links[i]))
	}
	first.waitHeading("Sign 1 item for Acme EPR")
	second.waitHeading("Sign 1 item for Acme EPR")
	for _, b := range []*tab{first, second} {
		b.press("Sign 1 item for Acme EPR")
		b.waitHeading("Back at Acme EPR")
	}
}
