package signing

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A caller that sends everything before it reads learns why it was refused, also when its body was not read for it.
func TestRefusalsReachThoseWhoStillSend(t *testing.T) {
	// The rest may take far longer than patience, so that an answer that waits for what is not sent never comes.
	w := newWorld(t, func(o *Options) { o.rest = time.Hour })
	server := httptest.NewUnstartedServer(w.Service)
	server.Listener = narrowListener{server.Listener}
	server.Start()
	t.Cleanup(server.Close)
	// ask sends the headers and so much of a body, and then reads the answer.
	ask := func(t *testing.T, headers string, declared, sent int) *http.Response {
		t.Helper()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		narrow(conn)
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, err = fmt.Fprintf(conn, "POST /signaturerequest HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n%s", declared, headers, strings.Repeat("a", sent))
		if err != nil {
			t.Fatalf("sending: %v", err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("reading: %v", err)
		}
		response.Body.Close()
		return response
	}
	const plain = "Content-Type: text/plain\r\n"
	t.Run("too large", func(t *testing.T) {
		if got := ask(t, plain, MaxBody+1, MaxBody+1); got.StatusCode != http.StatusRequestEntityTooLarge || got.ContentLength <= 0 {
			t.Errorf("got %v", got)
		}
	})
	t.Run("another content type", func(t *testing.T) {
		if got := ask(t, "Content-Type: text/html\r\n", MaxBody, MaxBody); got.StatusCode != http.StatusUnsupportedMediaType {
			t.Errorf("got %v", got)
		}
	})
	w.access = func(*http.Request) (Caller, error) { return Caller{}, errRefused }
	t.Run("no token", func(t *testing.T) {
		if got := ask(t, plain, MaxBody, MaxBody); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("got %v", got)
		}
	})
	// Nobody has to send for it, either.
	for name, headers := range map[string]string{"at once": plain, "instead of 100 Continue": plain + "Expect: 100-continue\r\n"} {
		t.Run(name, func(t *testing.T) {
			if got := ask(t, headers, MaxBody, 0); got.StatusCode != http.StatusUnauthorized {
				t.Errorf("got %v", got)
			}
		})
	}
}

// narrow leaves a connection little room, so that what is sent waits until it is read.
func narrow(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	_ = conn.(*net.TCPConn).SetWriteBuffer(64 << 10)
}

type narrowListener struct{ net.Listener }

func (l narrowListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		narrow(conn)
	}
	return conn, err
}
