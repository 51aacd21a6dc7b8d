package openid_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// collector is where the gateway sends its spans (OTLP over HTTP).
type collector struct {
	*httptest.Server
	mu   sync.Mutex
	sent bytes.Buffer
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.sent.Write(body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// text is all that came. A protobuf message has its texts as they are.
func (c *collector) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent.String()
}

// Whatever a request carries, and to whichever address: neither Caddy's access log, with credentials asked for, nor its
// error log, nor the spans of its tracing, nor a metric, nor the audit log has it. The same access log without the encoder
// has every one.
func TestNoSecretIsWrittenDown(t *testing.T) {
	spans := newCollector(t)
	plain := filepath.Join(t.TempDir(), "plain.log")
	w := newWorld(t, func(w *world) {
		w.signs = "sign_in\n\t\t\tstatus_key " + ownSecret
		w.global = `	metrics
	log {
		format countersign
		level DEBUG
		exclude events # Caddy writes them with a race: all that begin at one time share a replacer
	}
	servers {
		log_credentials
	}
`
		w.site = `	log
	log plain {
		output file ` + plain + `
		format json
	}
	tracing
	handle_path /bars/* {
		bars_proxy {
			environment sandbox
		}
	}
	handle /breaks/* {
		error "the address was {http.request.uri}" 500
	}
	handle /away/* {
		reverse_proxy localhost:9
	}
	handle_path /keys/* {
		countersign_jwks
	}
	handle_path /demo/* {
		countersign_demo
	}
	handle_path /eps/* {
		eps {
			client acme
			stand_in {
				certificates {
					trust mock
				}
			}
		}
	}
	handle_path /op/* {
		openid_mock {
			public_url http://localhost:{$PORT_GATEWAY}/op
			person 500000000001 "Eve Made-Up" 3
			client gateway {
				secret secret-of-the-mock
				redirect_uri http://localhost:9/callback
			}
		}
	}
`
		w.options = []gateway.Option{gateway.Env("OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf",
			"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+spans.URL+"/v1/traces", "OTEL_BSP_SCHEDULE_DELAY=100")}
	})
	private := append(w.journey(t), alice)

	c := gateway.NewCanaries()
	client := &http.Client{Timeout: 2 * patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	send := func(method, address string) { c.Send(t, client, method, address) }
	for base, file := range map[string]string{
		"/signing-service": "signing/openapi/openapi.json", "/oauth2": "oauth/openapi/openapi.json", "/bars": "bars/openapi/openapi.json",
	} {
		for path, methods := range c.Described(t, file) {
			for _, method := range methods {
				send(strings.ToUpper(method), w.URL("GATEWAY", base+path))
			}
		}
	}
	for path, methods := range c.Described(t, "caddymodule/adminapi/openapi/openapi.json") {
		for _, method := range methods {
			send(strings.ToUpper(method), w.URL("ADMIN", "/countersign"+path))
		}
	}
	for _, path := range []string{
		"/signing-service;token=" + c.Token, "/signing-service/signatureresponse;" + c.Token, "/signing-service/signatureresponse:" + c.Bearer,
		"/fhir/Patient('" + c.Patient + "')", "/fhir/Patient;nhs=" + c.Patient, "/x/token%3A" + c.Token,
		"/op/.well-known/openid-configuration", "/op/authorize", "/op/token", "/op/userinfo", "/op/jwks.json", "/op/" + c.Code,
		"/demo/", "/demo/sign", "/demo/signed", "/demo/webhook", "/demo/" + c.Token, "/eps/$prepare", "/eps/$process-message", "/eps/Bundle/" + c.Token,
		"/api/x", "/api/" + c.Token, "/breaks/" + c.Token, "/away/" + c.Token, "/keys/" + c.Token, "/signatureresponse/" + c.Token, "/" + c.Token,
		"/signing-service/signatureresponse/" + base64.StdEncoding.EncodeToString([]byte(c.Token)), "/signing-service/signatureresponses/" + c.Token,
		"/signing-service/signatureresponse/" + c.Code, "/signing-service/" + c.Bearer, "/fhir/Patient/" + c.Patient,
		"/signing-service/signatureresponse/" + strings.ReplaceAll(c.Token, "-", ""), "/bars/Appointment/" + c.Token + "/" + c.JWT,
	} {
		send("GET", w.URL("GATEWAY", path))
		send("POST", w.URL("GATEWAY", path))
	}
	private = append(private, c.All()...)

	const traced = "/signing-service/signatureresponse/…"
	if !gateway.Eventually(patience, func() bool {
		return strings.Contains(spans.text(), traced) && strings.Contains(spans.text(), "/fhir/Patient/")
	}) {
		t.Fatalf("the collector did not get the spans: %d bytes", len(spans.text()))
	}
	metrics := newPerson(t).get(w.URL("ADMIN", "/metrics"), "Origin", w.URL("ADMIN", "")).body
	w.Stop() // which sends what spans there are left
	written, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(w.Output(), traced) || !strings.Contains(spans.text(), traced) || !strings.Contains(w.Output(), "the address was /breaks/") || !strings.Contains(metrics, "countersign_") {
		t.Error("the access log, the error log, the spans or the metrics are missing")
	}
	for _, secret := range []string{c.Token, c.Bearer, c.Cookie, c.CSRF, c.APIKey, c.Code, c.State, c.Patient} {
		if !strings.Contains(string(written), secret) {
			t.Errorf("the plain access log does not have %q, so this test would find it nowhere", secret)
		}
	}
	for _, secret := range private {
		for where, text := range map[string]string{"the log": w.Output(), "a span": spans.text(), "a metric": metrics, "the audit log": w.audit(t)} {
			if where == "the audit log" && secret == alice {
				continue // it says who signed
			}
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%s has %q: …%q", where, secret, text[max(0, at-300):at+len(secret)])
			}
		}
	}
}

// audit is all that the audit log holds.
func (w *world) audit(t *testing.T) (text string) {
	t.Helper()
	err := filepath.WalkDir(w.Data("countersign/audit"), func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		text += string(content)
		return err
	})
	if err != nil || text == "" {
		t.Fatalf("the audit log: %d bytes, %v", len(text), err)
	}
	return text
}

// journey signs in at both doors, signs, and fetches, and returns every secret that this has brought about.
func (w *world) journey(t *testing.T) (secrets []string) {
	t.Helper()
	keep := func(texts ...string) {
		for _, text := range texts {
			if len(text) < 10 {
				t.Fatalf("%q is no secret", text)
			}
			secrets = append(secrets, text)
		}
	}
	desk := newPerson(t)
	code := w.code(t, desk, alice, w.asked("st-of-the-client-0123"))
	tokens := w.post(t, w.redeeming(code))
	keep(code, tokens.field("access_token"), tokens.field("refresh_token"), "st-of-the-client-0123")
	bearer := "Bearer " + tokens.field("access_token")
	desk.get(w.base()+"/userinfo", "Authorization", bearer)

	asked := w.request(t, "acme", tokens.field("access_token"), alice, gateway.Payloads("RS256", 2)...)
	token := asked.field("token")
	keep(token)
	page := w.page(t, desk, asked.field("redirectUri"))
	keep(page.csrf)
	refused := page.call("/client/open", page.opening())
	callback := desk.signIn(w.issuer, refused.field("signInUri"), alice)
	came, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	keep(came.Query().Get("code"), came.Query().Get("state"))
	for _, cookie := range desk.http.Jar.Cookies(came) {
		keep(cookie.Value)
	}
	desk.get(callback).location(t)
	opened := page.call("/client/open", page.opening())
	if opened.status != http.StatusOK {
		t.Fatalf("the page: %d %s", opened.status, opened.body)
	}
	id := `{"id":"` + opened.field("id") + `"}`
	page.call("/client/sign", id)
	if !gateway.Eventually(patience, func() bool {
		return desk.get(w.signing()+"/client/session?id="+opened.field("id")).field("state") == "signed"
	}) {
		t.Fatal("it was not signed")
	}
	signed := desk.get(w.signing()+"/signatureresponse/"+token, "Authorization", bearer)
	if signed.status != http.StatusOK {
		t.Fatalf("the signatures: %d %s", signed.status, signed.body)
	}
	desk.get(w.signing()+"/_status", "apikey", ownSecret)
	return append(secrets, secret, ownSecret, fmt.Sprint(signed.body[40:80]))
}
