package hostile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// Time limits of the gateway's wait for the agent, in this test. The agent is this very process, which a busy machine may
// keep from answering for some seconds: that is no silence.
const (
	wholeJob = 24 * time.Second
	silence  = 8 * time.Second
	slack    = 30 * time.Second
)

// asked is a job as the gateway sends it (AGT-A.2).
type asked struct {
	Job       string `json:"job"`
	Sub       string `json:"sub"`
	Algorithm string `json:"algorithm"`
	Payloads  []struct {
		ID      string `json:"id"`
		Payload []byte `json:"payload"`
	} `json:"payloads"`
}

// agent answers each user's jobs in the way that was set for that user.
type agent struct {
	t     testing.TB
	cards *Cards

	mu   sync.Mutex
	ways map[string]way
}

// way writes an answer to a job; honest is what should have been said.
type way func(w http.ResponseWriter, r *http.Request, honest *Answer)

func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ready":true,"card":"present"}`)
		return
	}
	var job asked
	if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
		a.t.Errorf("the gateway asks %v", err)
	}
	var ids []string
	var payloads [][]byte
	for _, p := range job.Payloads {
		ids, payloads = append(ids, p.ID), append(payloads, p.Payload)
	}
	a.mu.Lock()
	answer := a.ways[job.Sub]
	a.mu.Unlock()
	answer(w, r, a.cards.Honest(job.Sub, job.Algorithm, ids, payloads))
}

// lines are an answer on the wire, each line for itself.
func lines(a *Answer) []string {
	all := []string{line(map[string]any{"certificate": a.Certificate})}
	for _, item := range a.Items {
		all = append(all, line(map[string]any{"id": item.ID, "signature": item.Signature}))
	}
	return append(all, fmt.Sprintf(`{"done":true,"signed":%d,"failed":0}`+"\n", len(a.Items)))
}

func line(members map[string]any) string {
	text, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(text) + "\n"
}

// send sends lines as they are.
func send(w http.ResponseWriter, all ...string) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	for _, text := range all {
		if _, err := io.WriteString(w, text); err != nil {
			return
		}
		_ = http.NewResponseController(w).Flush()
	}
}

// serve serves the agent over TLS and returns its port and the file of its certificate.
func serve(t testing.TB, handler http.Handler) (port, pool string) {
	t.Helper()
	key := c2(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "agent"}, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der := c2(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	pool = filepath.Join(t.TempDir(), "agent.pem")
	if err := os.WriteFile(pool, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	_, port, _ = net.SplitHostPort(server.Listener.Addr().String())
	return port, pool
}

// behaviour is one wrong way to answer over wire A.
type behaviour struct {
	name string
	way  way
	want Outcome
}

// TestWireA: no wrong answer over way A releases a signature; each ends in time, in a state that is told
// (SIG-5, AGT-A).
func TestWireA(t *testing.T) {
	cards := NewCards(t)
	agent := &agent{t: t, cards: cards, ways: map[string]way{}}
	port, pool := serve(t, agent)
	issuer := filepath.Join(t.TempDir(), "issuer.pem")
	if err := os.WriteFile(issuer, cards.Issuer, 0o600); err != nil {
		t.Fatal(err)
	}
	key := gateway.NewKey(t, 4096)
	g := gateway.Start(t, fmt.Sprintf(`{
`+gateway.Options+`	countersign {
		environment int
		store memory
		client acme {
			key acme-1 %s
			callback http://localhost:9/signed
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /s/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/s
			access open
			agent https://localhost:%s {
				timeout %s
				idle %s
				tls_client_auth gateway.countersign.internal
				tls_trust_pool file %s
			}
			certificates {
				trust_pool file %s
				min_bits 2048
				crl {
					on_failure refuse
					hosts %s
				}
			}
		}
	}
}
`, key.Public, port, wholeJob, silence, pool, issuer, cards.Host))

	var all []behaviour
	for _, lie := range Lies() {
		all = append(all, behaviour{lie.Name, func(w http.ResponseWriter, _ *http.Request, a *Answer) {
			lie.Tell(cards, a)
			send(w, lines(a)...)
		}, lie.Want})
	}
	all = append(all, behaviours()...)
	if len(all) < 50 {
		t.Errorf("%d behaviours only", len(all))
	}
	t.Logf("%d behaviours", len(all))

	run := func(t *testing.T, n int, way way) (gateway.System, gateway.Accepted, []gateway.Payload, gateway.View) {
		t.Helper()
		user := fmt.Sprintf("555086%06d", n)
		g.MustNotLog(user)
		agent.mu.Lock()
		agent.ways[user] = way
		agent.mu.Unlock()
		s := gateway.System{Base: g.URL("GATEWAY", "/s"), ID: "acme", Kid: "acme-1", Key: key, Sub: user}
		payloads := gateway.Payloads("RS256", 3)
		accepted := s.Request(t, "RS256", "", payloads...)
		return s, accepted, payloads, gateway.Visit(t, accepted.RedirectURI).SignToEnd()
	}
	for n, b := range all {
		t.Run(b.name, func(t *testing.T) {
			began := time.Now()
			s, accepted, _, view := run(t, n+1, b.way)
			if took := time.Since(began); took > wholeJob+slack {
				t.Errorf("it took %s", took)
			}
			if view.State != b.want.State || view.ReasonCode() != b.want.Reason {
				t.Errorf("left %q, reason %+v; want %+v", view.State, view.Reason, b.want)
			}
			if view.Reason == nil || view.Reason.Title == "" || view.Reason.Text == "" || view.Reason.Retry != (b.want.State == "opened") {
				t.Fatalf("the person is told %+v", view.Reason)
			}
			if strings.Contains(view.Reason.Title+view.Reason.Text, "<") {
				t.Errorf("the person is told the agent's own words: %+v", view.Reason)
			}
			answer := s.Response(t, accepted.Token)
			if answer.Status == 200 || bytes.Contains(answer.Body, []byte(`"signatures"`)) || bytes.Contains(answer.Body, []byte(`"certificate"`)) {
				t.Errorf("something was released: %d %.200s", answer.Status, answer.Body)
			}
		})
	}
	t.Run("an honest agent", func(t *testing.T) {
		s, accepted, payloads, view := run(t, 0, func(w http.ResponseWriter, _ *http.Request, a *Answer) { send(w, lines(a)...) })
		if view.State != "signed" {
			t.Fatalf("%+v, %+v", view, view.Reason)
		}
		s.Fetch(t, accepted.Token).Verify(t, "RS256", payloads)
	})
}

func encode(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
