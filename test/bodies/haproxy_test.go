package bodies_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// shared is HAProxy as it is set up where connections to a gateway are few: all clients share one.
const shared = `
defaults
	mode http
	timeout connect 60s
	timeout client 120s
	timeout server 120s
	timeout queue 120s
	http-reuse always
frontend in
	bind 127.0.0.1:%s
	default_backend gateway
backend gateway
	server gateway 127.0.0.1:%s maxconn 1
`

// balance starts HAProxy in front of the gateway, and returns its port.
func (w *world) balance() string {
	w.t.Helper()
	port := fmt.Sprint(gateway.FreePort(w.t))
	config := filepath.Join(w.dir, "haproxy.cfg")
	if err := os.WriteFile(config, fmt.Appendf(nil, shared, port, w.Port("GATEWAY")), 0o600); err != nil {
		w.t.Fatal(err)
	}
	gateway.Launch(w.t, exec.Command("haproxy", "-db", "-f", config)).Await("HAProxy", patience, func() error {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return port
}

// attacks are bodies that leave something in a connection if anything does. Each of those that pause holds the shared
// connection for as long as the gateway reads on.
var attacks = []string{"5 MiB", "300 KiB", "chunked", "chunked, 5 MiB", "paused", "small, half sent", "chunked, paused"}

// Behind a load balancer whose clients share one connection, everybody gets the answer to their own request, whatever
// others send.
func TestSharedConnections(t *testing.T) {
	rounds := proofRounds(t)
	for _, name := range []string{"plain", "everything"} {
		if rounds == 0 && name == "plain" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, settings[name])
			port := w.balance()
			var all sync.WaitGroup
			for _, attack := range attacks {
				f := framings[attack]
				for range max(rounds, 1) {
					all.Go(func() { smuggle("127.0.0.1:"+port, endpoints[0], f) })
				}
			}
			over := make(chan struct{})
			var honest sync.WaitGroup
			var answered atomic.Int32
			for n := range 4 {
				honest.Go(func() {
					for i := 0; ; i++ {
						select {
						case <-over:
							return
						default:
						}
						if err := ask(port, fmt.Sprintf("/honest/%d-%d", n, i)); err != nil {
							t.Error(err)
							return
						}
						answered.Add(1)
					}
				})
			}
			all.Wait()
			close(over)
			honest.Wait()
			if answered.Load() == 0 {
				t.Error("nobody honest was answered")
			}
		})
	}
}

// smuggle sends one request, and what would be another if the gateway took it for one.
func smuggle(address string, e endpoint, f framing) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	go f.send(conn, e.request+" HTTP/1.1\r\nHost: localhost\r\n"+e.header)
	from := bufio.NewReader(conn)
	if _, err := readAnswer(from); err != nil || f.after == "" {
		return
	}
	_ = conn.SetReadDeadline(time.Now().Add(dropTime + 2*time.Second))
	_, _ = from.Peek(1)
	_, _ = io.WriteString(conn, f.after)
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = io.Copy(io.Discard, from)
}

// ask makes a request that nobody else makes.
func ask(port, path string) error {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://localhost:" + port + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(text), path) {
		return fmt.Errorf("asked for %s, got %d %q", path, response.StatusCode, text)
	}
	return nil
}
