package bars_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
)

// receiver is a TLS-MA receiver whose answers the test sets.
type receiver struct {
	mu      sync.Mutex
	answer  http.HandlerFunc
	request *http.Request // the latest
	body    []byte
	count   int
}

// will sets how it answers from now on.
func (r *receiver) will(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer, r.request, r.body, r.count = answer, nil, nil, 0
}

// got returns the latest request, its body, and the number of requests.
func (r *receiver) got() (*http.Request, []byte, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.request, r.body, r.count
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.request, r.body = request, body
	r.count++
	answer := r.answer
	r.mu.Unlock()
	answer(w, request)
}

func say(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // the proxy may have gone
	}
}

// listen serves with a certificate, for clients with a certificate of an authority, and returns its port.
func listen(t testing.TB, handler http.Handler, certificate tls.Certificate, clients *barstest.Authority) int {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12}
	if clients != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, pool(clients)
	}
	server := httptest.NewUnstartedServer(handler)
	server.TLS, server.EnableHTTP2 = config, true
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().(*net.TCPAddr).Port
}

// accept runs a function for each connection to a port, which it returns.
func accept(t testing.TB, do func(net.Conn)) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				all.Go(func() {
					defer conn.Close()
					do(conn)
				})
			}
		}
	})
	return listener.Addr().(*net.TCPAddr).Port
}

// silence reads a connection and never answers, until the other side gives up.
func silence(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, _ = io.Copy(io.Discard, conn) // ends when the other side closes
}

// reset breaks a connection off like a crash.
func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
}

// resetLater reads the request over TLS and then breaks the connection off.
func resetLater(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: resets the stream
	}
	reset(conn.(*tls.Conn).NetConn())
	conn.Close()
}

// serveHTTP serves plain HTTP on localhost and returns the address.
func serveHTTP(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return "http://localhost:" + strconv.Itoa(server.Listener.Addr().(*net.TCPAddr).Port)
}
