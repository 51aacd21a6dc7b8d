// Package sight_test proves what an operator sees of the built binary: metrics, and the dashboard and the alert
// rules that are made of them.
package sight_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	person  = "555086689106"
	revoked = "555086689207" // whose card the mock's list revokes
)

const caddyfile = `{
` + gateway.Options + `	metrics
	countersign {
		environment int
		openid http://localhost:9 {
			client_id gateway
			secret secret
		}
		client acme {
			key acme-1 %[1]s
			callback http://localhost:9/signed
			webhook http://localhost:9/hook
		}
		client away {
			jwks http://localhost:9/jwks.json
			callback http://localhost:9/signed
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /signing/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing
			access open
			mock https://localhost:{$PORT_AGENT} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock %[1]s.crt
			}
			%[2]s
		}
	}
	handle_path /bars/* {
		bars_proxy {
			catalogue %[1]s.catalogue
			tls_client_auth gateway.countersign.internal
			tls_trust_pool file %[1]s.crt
		}
	}
}

https://localhost:{$PORT_AGENT} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client gateway.countersign.internal
		fault revoked_certificate user ` + revoked + `
	}
}

https://localhost:{$PORT_CARDS} {
` + gateway.DemandMutualTLS + `	smartcard_agent pkcs11 {
		allow_client gateway.countersign.internal
		module ` + pkcs11test.Module + `
		pin terminal
	}
}
`

// start runs a gateway with one client, and an issuer's certificate beside the mock's.
func start(t *testing.T) (*gateway.Gateway, gateway.System, func(more string) string) {
	t.Helper()
	key := gateway.NewKey(t, 4096)
	if out, err := gateway.Run(nil, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "400",
		"-subj", "/CN=Test issuer", "-keyout", os.DevNull, "-out", key.Public+".crt"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	catalogue := `{"NHSD-Target-Identifier":{"https://fhir.nhs.uk/Id/dos-service-id":{"1":"https://bars-int-x26.acme.thirdparty.nhs.uk"}}}`
	if err := os.WriteFile(key.Public+".catalogue", []byte(catalogue), 0o600); err != nil {
		t.Fatal(err)
	}
	text := func(more string) string { return fmt.Sprintf(caddyfile, key.Public, more) }
	g := gateway.Start(t, text(""))
	g.MustNotLog(person)
	return g, gateway.System{Base: g.URL("GATEWAY", "/signing"), ID: "acme", Kid: "acme-1", Key: key, Sub: person}, text
}

// journey lets three items be signed and fetched.
func journey(t *testing.T, s gateway.System) gateway.Accepted {
	t.Helper()
	accepted := s.Request(t, "RS256", "", gateway.Payloads("RS256", 3)...)
	browser := gateway.Visit(t, accepted.RedirectURI)
	browser.Open()
	if view := browser.SignToEnd(); view.State != "signed" {
		t.Fatalf("the session ended as %s", view.State)
	}
	s.Fetch(t, accepted.Token)
	return accepted
}

func scrape(t *testing.T, g *gateway.Gateway) string {
	t.Helper()
	answer := gateway.Get(t, g.URL("ADMIN", "/metrics"), nil)
	if answer.Status != http.StatusOK {
		t.Fatalf("/metrics answers %d", answer.Status)
	}
	return string(answer.Body)
}

// value finds one sample by its name and labels, in Prometheus's own order of labels.
func value(metrics, sample string) string {
	for line := range strings.Lines(metrics) {
		if rest, found := strings.CutPrefix(line, sample+" "); found {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// patience is how long something that happens in the background may take on a busy machine.
const patience = 2 * time.Minute

// await scrapes until every sample has its value, and returns the scrape in which it had.
func await(t *testing.T, g *gateway.Gateway, samples map[string]string) (metrics string) {
	t.Helper()
	var missing []string
	if !gateway.Eventually(patience, func() bool {
		metrics, missing = scrape(t, g), nil
		for sample, want := range samples {
			if got := value(metrics, sample); got != want {
				missing = append(missing, fmt.Sprintf("%s is %q, want %q", sample, got, want))
			}
		}
		return len(missing) == 0
	}) {
		t.Fatal(strings.Join(missing, "\n"))
	}
	return metrics
}

func TestMetrics(t *testing.T) {
	g, system, text := start(t)
	accepted := journey(t, system)
	if answer := system.Post(t, "not.a.jwt", ""); answer.Status != http.StatusBadRequest {
		t.Fatalf("a bad request is answered %d", answer.Status)
	}
	// A run is counted when it has ended, a little after the page is told; a key set fails in the background.
	metrics := await(t, g, map[string]string{
		`countersign_signing_answer_seconds_count{code="ok",endpoint="/signaturerequest"}`:        "1",
		`countersign_signing_answer_seconds_count{code="malformed",endpoint="/signaturerequest"}`: "1",
		`countersign_signing_sessions_total{state="signed"}`:                                      "1",
		`countersign_signing_items_total{outcome="signed"}`:                                       "3",
		`countersign_key_set_age_seconds{client="away",source="http://localhost:9/jwks.json"}`:    "-1",
		`countersign_key_set_failing{client="away",source="http://localhost:9/jwks.json"}`:        "1",
	})
	if value(metrics, `countersign_certificate_expiry_timestamp_seconds{kind="issuer",subject="CN=Test issuer"}`) == "" {
		t.Error("the issuer's expiry is not there")
	}
	for _, private := range []string{person, accepted.Token} {
		if strings.Contains(metrics, private) {
			t.Errorf("the metrics hold %q", private)
		}
	}
	// Counters go on over a reload.
	g.Reload(text("clock_skew 50s"))
	journey(t, system)
	await(t, g, map[string]string{`countersign_signing_items_total{outcome="signed"}`: "6"})
	if out, err := gateway.Run([]byte(ours(metrics)), "promtool", "check", "metrics"); err != nil {
		t.Errorf("promtool on the metrics: %v\n%s", err, out)
	}
}

// Gauges tell of the configuration that runs: not of one that failed to start, and nothing of the former one.
func TestMetricsTellOfWhatRuns(t *testing.T) {
	g, _, text := start(t)
	const issuer = `countersign_certificate_expiry_timestamp_seconds{kind="issuer",subject="CN=Test issuer"}`
	failing := func(client string) string {
		return fmt.Sprintf(`countersign_key_set_failing{client=%q,source="http://localhost:9/jwks.json"}`, client)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	await(t, g, map[string]string{failing("away"): "1"}) // it is looked for in the background
	changed := regexp.MustCompile(`trust mock .*`).ReplaceAllString(strings.Replace(text(""), "client away", "client elsewhere", 1), "trust mock")
	if err := g.TryReload(fmt.Sprintf("%s\nhttp://%s {\n}\n", changed, taken.Addr())); err == nil {
		t.Fatal("a configuration that listens where somebody else does was taken")
	}
	if metrics := scrape(t, g); value(metrics, failing("away")) != "1" || value(metrics, failing("elsewhere")) != "" || value(metrics, issuer) == "" {
		t.Errorf("after a reload that failed:\n%s", ours(metrics))
	}
	g.Reload(changed)
	if metrics := scrape(t, g); value(metrics, failing("away")) != "" || value(metrics, failing("elsewhere")) != "1" || value(metrics, issuer) != "" {
		t.Errorf("after a reload:\n%s", ours(metrics))
	}
}

// ours keeps the families that are Countersign's.
func ours(metrics string) string {
	var out strings.Builder
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), "countersign_") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// Dashboard and alert rules speak of metrics that exist, by labels that they have.
func TestDashboardAndAlerts(t *testing.T) {
	g, system, _ := start(t)
	journey(t, system)
	other := system
	other.Sub = revoked // whose card names a revocation list
	if view := gateway.Visit(t, other.Request(t, "RS256", "", gateway.Payloads("RS256", 1)...).RedirectURI).SignToEnd(); view.State != "failed" {
		t.Errorf("a revoked card: got state %s, want failed", view.State)
	}
	root := gateway.Root(t)
	spoken := map[string][]string{} // of by each file
	for _, file := range []string{"monitoring/alerts.yml", "monitoring/grafana.json"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".json") && !json.Valid(text) {
			t.Errorf("%s is not JSON", file)
		}
		names := regexp.MustCompile(`countersign_[a-z0-9_]+`).FindAllString(string(text), -1)
		if len(names) < 8 {
			t.Errorf("%s speaks of %d metrics only", file, len(names))
		}
		spoken[file] = names
	}
	var unknown []string
	if !gateway.Eventually(patience, func() bool { // some are counted in the background: nobody takes the webhook
		metrics := scrape(t, g)
		unknown = nil
		for file, names := range spoken {
			for _, name := range names {
				if !strings.Contains(metrics, "\n"+name+"{") {
					unknown = append(unknown, fmt.Sprintf("%s speaks of %s, which is not scraped", file, name))
				}
			}
		}
		return len(unknown) == 0
	}) {
		t.Error(strings.Join(unknown, "\n"))
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		args[2] = filepath.Join(root, "monitoring", args[2])
		if out, err := gateway.Run(nil, "promtool", args...); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
