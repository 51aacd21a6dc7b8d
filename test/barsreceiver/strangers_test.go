package barsreceiver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	live = "bars-prod-x26.supplier.thirdparty.nhs.uk"

	perMinute = 1000 // messages that the proxy may bring in production
	sieges    = 200  // connections of each kind of stranger
)

// messages is how many messages the proxy brings: as many as `make proof` wants, or what `make test` has time for.
func messages(t *testing.T) int {
	text := os.Getenv("MESSAGES")
	if text == "" {
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("MESSAGES=%s: want a number of messages", text)
	}
	return n
}

// production is a gateway with a production receiver, in front of a system that accepts everything.
type production struct {
	*gateway.Gateway
	authority *barstest.Authority
	roots     *x509.CertPool
	address   string
}

// newProduction starts it with more global options.
func newProduction(t *testing.T, global string) *production {
	t.Helper()
	w := &production{authority: barstest.NewAuthority(t, "NHS Live"), roots: x509.NewCertPool()}
	for _, c := range w.authority.Chain() {
		w.roots.AddCert(c)
	}
	dir := t.TempDir()
	certificate, key := barstest.Write(t, dir, live, w.authority.Issue(live))
	w.Gateway = gateway.Start(t, fmt.Sprintf(`{
	auto_https disable_redirects
	default_bind 127.0.0.1
	countersign {
		environment prod
	}
	%s
}
http://:{$PORT_SYSTEM} {
	respond "accepted" 202
}
https://%s:{$PORT_TLS} {
	log
	bars_receiver {
		certificate %s %s
		chain %s
		proxy_addresses 127.0.0.1
		client_subject %s
	}
	reverse_proxy localhost:{$PORT_SYSTEM}
}
`, global, live, certificate, key, w.authority.WriteChain(filepath.Join(dir, "chain.pem")), proxy))
	w.address = "127.0.0.1:" + w.Port("TLS")
	return w
}

// client is the TLS configuration of somebody who calls the receiver.
func (w *production) client(certificates ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: w.roots, ServerName: live, Certificates: certificates, MinVersion: tls.VersionTLS12}
}

// http is the proxy's own client.
func (w *production) http(t *testing.T) *http.Client {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: w.client(w.authority.Issue(proxy)),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", w.address)
		},
	}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// TestProductionBesideStrangers brings a production receiver as many messages as the proxy may. Strangers at the proxy's
// own address leave handshakes half done, complete them without the right certificate, and begin again all the time. No
// message is refused.
func TestProductionBesideStrangers(t *testing.T) {
	w := newProduction(t, "")
	ctx, leave := context.WithCancel(t.Context())
	again := rate.NewLimiter(sieges, sieges)
	var strangers, arrived sync.WaitGroup
	besiege := func(each func(ctx context.Context, conn net.Conn)) {
		for range sieges {
			arrived.Add(1)
			strangers.Go(func() {
				once := sync.OnceFunc(arrived.Done)
				defer once()
				for ctx.Err() == nil {
					if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", w.address); err == nil {
						once()
						each(ctx, conn)
						conn.Close()
					}
					_ = again.Wait(ctx) // ends with the siege
				}
			})
		}
	}
	besiege(func(ctx context.Context, conn net.Conn) {
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		_, _ = conn.Write([]byte{22, 3, 1, 2, 0, 1, 0}) // the beginning of a ClientHello
		_, _ = io.Copy(io.Discard, conn)
	})
	other := barstest.NewAuthority(t, "NHS INT").Issue(proxy)
	besiege(func(ctx context.Context, conn net.Conn) {
		defer context.AfterFunc(ctx, func() { conn.Close() })()
		secure := tls.Client(conn, w.client(other))
		_, _ = io.WriteString(secure, "POST /FHIR/R4/$process-message HTTP/1.1\r\nHost: "+live+"\r\nContent-Length: 9\r\n\r\n")
		if answer, _ := io.ReadAll(secure); strings.HasPrefix(string(answer), "HTTP/1.1 2") {
			t.Errorf("a stranger's certificate: got %.100q, want a refusal", answer)
		}
	})
	arrived.Wait()
	defer strangers.Wait()
	defer leave()

	honest := w.http(t)
	pace := rate.NewLimiter(perMinute/60., 1)
	var under sync.WaitGroup
	for i := range messages(t) {
		if err := pace.Wait(ctx); err != nil {
			t.Fatal(err)
		}
		under.Go(func() {
			answer, err := honest.Post("https://"+live+"/FHIR/R4/$process-message", "application/fhir+json", strings.NewReader(`{"resourceType":"Bundle"}`))
			if err != nil {
				t.Errorf("message %d: got %v, want an answer", i, err)
				return
			}
			defer answer.Body.Close()
			if answer.StatusCode != http.StatusAccepted {
				t.Errorf("message %d: got status %d, want %d", i, answer.StatusCode, http.StatusAccepted)
			}
		})
	}
	under.Wait()
}

// TestNoSecretIsWrittenDown has requests carry secrets of every form to a receiver: its access log and its own log have
// none of them.
func TestNoSecretIsWrittenDown(t *testing.T) {
	w := newProduction(t, `log {
		format countersign
		level DEBUG
		exclude events # Caddy writes them with a race: all that begin at one time share a replacer
	}
	servers {
		log_credentials
	}`)
	c := gateway.NewCanaries()
	client := w.http(t)
	for _, path := range []string{"/FHIR/R4/$process-message", "/FHIR/R4/Appointment/" + c.Token, "/FHIR/R4/Patient/" + c.Patient} {
		c.Send(t, client, http.MethodGet, "https://"+live+path)
		c.Send(t, client, http.MethodPost, "https://"+live+path)
	}
	w.Stop()
	if said := w.Output(); !strings.Contains(said, "/FHIR/R4/Appointment/…") {
		t.Fatalf("got no access log of the receiver:\n%s", said)
	}
	for _, secret := range c.All() {
		if at := strings.Index(w.Output(), secret); at >= 0 {
			t.Errorf("the log has %q: …%q", secret, w.Output()[max(0, at-300):at+len(secret)])
		}
	}
}
