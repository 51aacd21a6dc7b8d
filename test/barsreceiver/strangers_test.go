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

// TestProductionBesideStrangers brings a production receiver as many messages as the proxy may. Strangers at the proxy's
// own address leave handshakes half done, complete them without the right certificate, and begin again all the time. No
// message is refused.
func TestProductionBesideStrangers(t *testing.T) {
	authority := barstest.NewAuthority(t, "NHS Live")
	dir := t.TempDir()
	chain := authority.WriteChain(filepath.Join(dir, "chain.pem"))
	certificate, key := barstest.Write(t, dir, live, authority.Issue(live))
	g := gateway.Start(t, fmt.Sprintf(`{
	auto_https disable_redirects
	default_bind 127.0.0.1
	countersign {
		environment prod
	}
}
http://:{$PORT_SYSTEM} {
	respond "accepted" 202
}
https://%s:{$PORT_TLS} {
	bars_receiver {
		certificate %s %s
		chain %s
		proxy_addresses 127.0.0.1
		client_subject %s
	}
	reverse_proxy localhost:{$PORT_SYSTEM}
}
`, live, certificate, key, chain, proxy))
	address := "127.0.0.1:" + g.Port("TLS")
	roots := x509.NewCertPool()
	for _, c := range authority.Chain() {
		roots.AddCert(c)
	}
	client := func(certificates ...tls.Certificate) *tls.Config {
		return &tls.Config{RootCAs: roots, ServerName: live, Certificates: certificates, MinVersion: tls.VersionTLS12}
	}
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
					if conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
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
		secure := tls.Client(conn, client(other))
		_, _ = io.WriteString(secure, "POST /FHIR/R4/$process-message HTTP/1.1\r\nHost: "+live+"\r\nContent-Length: 9\r\n\r\n")
		if answer, _ := io.ReadAll(secure); strings.HasPrefix(string(answer), "HTTP/1.1 2") {
			t.Errorf("a stranger's certificate: got %.100q, want a refusal", answer)
		}
	})
	arrived.Wait()
	defer strangers.Wait()
	defer leave()

	honest := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: client(authority.Issue(proxy)),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
	}}
	defer honest.CloseIdleConnections()
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
