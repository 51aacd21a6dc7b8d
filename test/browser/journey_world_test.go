package browser_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// person is who signs: a made-up SDS user id.
const person = "555086689106"

// world is the built binary with a client system on another site than the gateway: the gateway is
// http://localhost, the client http://127.0.0.1, and a browser's rules for cookies take these for strangers.
type world struct {
	*gateway.Gateway
	site *clientSite
	key  gateway.Key
}

// service is a Signing Service under a path of its own, and its mock agent.
type service struct {
	name  string
	agent string // lines of smartcard_agent mock
	lines string // lines of signing_service
	real  bool   // the agent counts as one with real cards, so that there is no mock to ask for
}

// The demo stands beside the service that is mounted where it looks for one.
const (
	demoLines = `		client demo-epr {
			name "Demo EPR"
			jwks http://localhost:{$PORT_GATEWAY}/demo/jwks.json
			callback http://localhost:{$PORT_GATEWAY}/demo/signed
			algorithms RS1 RS256
		}
`
	demoRoute = `	redir /demo /demo/
	handle_path /demo/* {
		countersign_demo
	}
`
)

func newWorld(t *testing.T, services ...service) *world {
	t.Helper()
	return newWorldAt(t, func(name string) string { return "http://localhost:{$PORT_GATEWAY}/" + name }, services...)
}

// newWorldAt is newWorld with the public URL of each service.
func newWorldAt(t *testing.T, public func(name string) string, services ...service) *world {
	t.Helper()
	w := &world{key: gateway.NewKey(t, 4096), site: newClientSite(t)}
	var routes, agents strings.Builder
	var demo, demoClient string
	for _, s := range services {
		if s.name == "signing-service" {
			demo, demoClient = demoRoute, demoLines
		}
		port := strings.ReplaceAll(strings.ToUpper(s.name), "-", "_")
		way, more := "mock", ""
		if s.real {
			way, more = "agent", "users 5550*"
		}
		fmt.Fprintf(&routes, `
	handle_path /%[1]s/* {
		signing_service {
			public_url %[6]s
			access open
			%[2]s https://localhost:{$PORT_%[3]s} {
				%[4]s
				`+gateway.MutualTLS+`			}
			certificates {
				trust mock
			}
			%[5]s
		}
	}`, s.name, way, port, more, s.lines, public(s.name))
		fmt.Fprintf(&agents, `
https://localhost:{$PORT_%s} {
`+gateway.DemandMutualTLS+`	smartcard_agent mock {
		allow_client gateway.countersign.internal
		%s
	}
}
`, port, s.agent)
	}
	w.Gateway = gateway.Start(t, fmt.Sprintf(`{
`+gateway.Options+`	countersign {
		environment int
		store badger
		client acme {
			name "Acme EPR"
			key acme-1 %s
			callback %s/signed?site=7
			algorithms RS1 RS256
		}
%s	}
}

http://localhost:{$PORT_GATEWAY} {%s
%s}
%s`, w.key.Public, w.site.URL, demoClient, routes.String(), demo, agents.String()))
	w.MustNotLog(person)
	return w
}

// system is the client system, at a service.
func (w *world) system(service string) gateway.System {
	return gateway.System{Base: w.URL("GATEWAY", "/"+service), ID: "acme", Kid: "acme-1", Key: w.key, Sub: person}
}

// tokenIn is the token in the query with which a browser came back.
func tokenIn(query string) string {
	_, after, _ := strings.Cut(query, "token=")
	token, _, _ := strings.Cut(after, "&")
	return token
}

// link has n items accepted by a service and returns where the person is to go; rawState is carried as it is.
func (w *world) link(t *testing.T, service string, n int, rawState string) string {
	t.Helper()
	accepted := w.system(service).Request(t, "RS256", rawState, gateway.Payloads("RS256", n)...)
	w.MustNotLog(accepted.Token)
	return accepted.RedirectURI
}

// clientSite is the client system's own web site, as far as a browser sees it.
type clientSite struct {
	*httptest.Server
	mu       sync.Mutex
	link     string   // where /start sends the browser
	returned []string // the queries of the browsers that came back
	cookies  []string // what they brought
}

func newClientSite(t *testing.T) *clientSite {
	c := &clientSite{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "desk", Value: "7", Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		show(w, "Acme EPR", `<form method="post" action="start"><button>Sign at the gateway</button></form>`)
	})
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", c.to("")) // as it is: http.Redirect would clean it
		w.WriteHeader(http.StatusSeeOther)
	})
	mux.HandleFunc("GET /frame", func(w http.ResponseWriter, _ *http.Request) {
		show(w, "A frame", `<iframe src="`+html.EscapeString(c.to(""))+`"></iframe>`)
	})
	mux.HandleFunc("GET /signed", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		c.returned = append(c.returned, r.URL.RawQuery)
		c.cookies = append(c.cookies, r.Header.Get("Cookie"))
		c.mu.Unlock()
		show(w, "Back at Acme EPR", "")
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

func show(w http.ResponseWriter, heading, body string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<!doctype html><html lang="en"><title>%[1]s</title><link rel="icon" href="data:,"><h1>%[1]s</h1>%[2]s`, heading, body)
}

// to sets the link that /start sends browsers to, where one is given, and returns it.
func (c *clientSite) to(link string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if link != "" {
		c.link = link
	}
	return c.link
}

// last is the query and the cookies of the browser that came back last.
func (c *clientSite) last() (query, cookies string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.returned) == 0 {
		return "", ""
	}
	return c.returned[len(c.returned)-1], c.cookies[len(c.cookies)-1]
}
