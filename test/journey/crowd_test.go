package journey_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// A client that behaves is served while 2,000 slow connections are held open, half of them with a large body that
// was declared and does not come, and while strangers post garbage as fast as they are answered, which after a burst is
// no faster than refusal_rate says, though they share the client's address. How much slower it is served then is a
// benchmark (make bench-crowd).
func TestCrowd(t *testing.T) {
	const rate, burst = 10, 100
	w := newWorld(t, options{global: fmt.Sprint("refusal_rate ", rate)})
	acme := w.system("main")
	const slow = 2000
	head := "POST /main/signaturerequest HTTP/1.1\r\nHost: localhost\r\n"
	for i := range slow {
		conn, err := net.Dial("tcp", "127.0.0.1:"+w.Port("GATEWAY"))
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { conn.Close() })
		begin := head
		if i%2 == 0 {
			begin += "Content-Type: text/plain\r\nContent-Length: 2000000\r\n\r\naa"
		}
		if _, err := io.WriteString(conn, begin); err != nil {
			t.Fatal(err)
		}
	}
	over := make(chan struct{})
	var strangers sync.WaitGroup
	var refused atomic.Int64
	began := time.Now()
	const many = 4
	for i := range many {
		strangers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
					answer := acme.PostAs(t, "text/plain", "", fmt.Appendf(nil, "eyJ%d.%d.AAAA", i, n))
					if answer.Status != 400 {
						t.Errorf("garbage is answered %d", answer.Status)
						return
					}
					refused.Add(1)
				}
			}
		})
	}
	for range 50 {
		w.request(t, acme, "RS256", "", gateway.Payloads("RS256", 1)...)
	}
	if !gateway.Eventually(time.Minute, func() bool { return refused.Load() > burst+2*rate }) {
		t.Errorf("strangers were answered %d times in a minute", refused.Load())
	}
	close(over)
	strangers.Wait()
	if most := burst + rate*int64(time.Since(began).Seconds()+1) + many; refused.Load() > most {
		t.Errorf("%d refusals in %s, want at most %d", refused.Load(), time.Since(began), most)
	}
}

// A client has as many sessions as it may have, and is told so; its old requests are still answered.
func TestMaxSessions(t *testing.T) {
	w := newWorld(t, options{client: "key acme-1 {key}\n\t\t\tmax_sessions 3"})
	acme := w.system("main")
	first := acme.JWT(t, "RS256", gateway.Payloads("RS256", 1)...)
	acme.Accepted(t, acme.Post(t, first, ""))
	for range 2 {
		w.request(t, acme, "RS256", "", gateway.Payloads("RS256", 1)...)
	}
	above := acme.Post(t, acme.JWT(t, "RS256", gateway.Payloads("RS256", 1)...), "")
	mustRefuse(t, above, refusal{429, "too_many", ""})
	if above.Header.Get("Retry-After") == "" {
		t.Error("it is not said when to come back")
	}
	acme.Accepted(t, acme.Post(t, first, ""))
}

// A body that does not arrive in time is answered, and does not hold its connection for ever.
func TestSlowBody(t *testing.T) {
	t.Parallel() // it waits half a minute
	w := newWorld(t, options{})
	conn, err := net.Dial("tcp", "127.0.0.1:"+w.Port("GATEWAY"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /main/signaturerequest HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 9000\r\n\r\naa")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") {
		t.Errorf("%v, %.200s", err, answer)
	}
}
