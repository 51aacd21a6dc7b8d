package intake

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience bounds what must happen, even on a slow machine.
const patience = 30 * time.Second

// smuggled is a request hidden in bodies. It must never be answered.
const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

var errRefused = errors.New("refused")

// handlers answer before the body has been read to its end.
var handlers = map[string]Handler{
	"answers at once": func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusForbidden)
		_, err := io.WriteString(w, "no")
		return err
	},
	"writes without a status": func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "no")
		return err
	},
	"flushes": func(w http.ResponseWriter, _ *http.Request) error { return http.NewResponseController(w).Flush() },
	"reads a part": func(w http.ResponseWriter, r *http.Request) error {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(shortRest)) // the body may never arrive
		_, _ = r.Body.Read(make([]byte, 5))
		http.Error(w, "no", http.StatusForbidden)
		return nil
	},
	"reads up to a limit": func(w http.ResponseWriter, r *http.Request) error {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(shortRest)) // as above
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<10))
		http.Error(w, "no", http.StatusRequestEntityTooLarge)
		return nil
	},
	"closes the body": func(w http.ResponseWriter, r *http.Request) error {
		_ = r.Body.Close()
		http.Error(w, "no", http.StatusForbidden)
		return nil
	},
	"returns an error":      func(http.ResponseWriter, *http.Request) error { return errRefused },
	"says nothing":          func(http.ResponseWriter, *http.Request) error { return nil },
	"closes the connection": func(w http.ResponseWriter, _ *http.Request) error { w.Header().Set("Connection", "close"); return nil },
	"passes on, which answers": func(w http.ResponseWriter, r *http.Request) error {
		PassOn(r)
		http.Error(w, "no", http.StatusForbidden)
		return nil
	},
	"passes on, which fails": func(_ http.ResponseWriter, r *http.Request) error { PassOn(r); return errRefused },
	"passes on, and answers": func(w http.ResponseWriter, r *http.Request) error {
		PassOn(r)
		_ = r.Body.Close()
		TakeBack(r)
		http.Error(w, "no", http.StatusBadGateway)
		return nil
	},
	"is guarded twice": func(w http.ResponseWriter, r *http.Request) error {
		PassOn(r)
		return guard(w, r, patience, func(http.ResponseWriter, *http.Request) error { return errRefused })
	},
}

type framing struct{ head, body, after string }

// framings are bodies filled with smuggled requests, so that a cut at any place leaves one. after is sent once the answer
// has arrived.
var framings = map[string]framing{
	"small":                   {"Content-Length: 36\r\n", "x" + smuggled, ""},
	"small, half sent":        {"Content-Length: 100\r\n", "0123456789", smuggled + smuggled},
	"over what is read first": {fmt.Sprintf("Content-Length: %d\r\n", 5*smallRest), filled(5 * smallRest), ""},
	"paused":                  {fmt.Sprintf("Content-Length: %d\r\n", 5*smallRest), "0123456789", smuggled + smuggled},
	"over what is dropped":    {fmt.Sprintf("Content-Length: %d\r\n", maxRest+smallRest), filled(maxRest + smallRest), ""},
	"chunked":                 {"Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", 2*smallRest, filled(2*smallRest)), ""},
	"chunked, small":          {"Transfer-Encoding: chunked\r\n", "24\r\n" + smuggled + "x\r\n0\r\n\r\n", ""},
	"half a chunk":            {"Transfer-Encoding: chunked\r\n", "fffff\r\n" + smuggled, smuggled},
	"trailers":                {"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", "1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n", ""},
	"half a trailer":          {"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", "1\r\na\r\n0\r\nX-Sum: 1\r\n", smuggled},
	"expecting":               {fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n", len(smuggled)), "", smuggled},
	"expecting, and sending":  {fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n", 5*smallRest), filled(5 * smallRest), ""},
	"asking to close":         {fmt.Sprintf("Connection: close\r\nContent-Length: %d\r\n", 2*smallRest), filled(2 * smallRest), ""},
}

func filled(n int) string {
	return strings.Repeat(smuggled, n/len(smuggled)+1)[:n]
}

// surroundings are the conditions under which a guard runs. Caddy wraps every body, so net/http does not recognise it.
var surroundings = map[string]func(http.ResponseWriter, *http.Request){
	"net/http":    func(http.ResponseWriter, *http.Request) {},
	"wrapped":     wrap,
	"full duplex": fullDuplex,
	"both":        func(w http.ResponseWriter, r *http.Request) { wrap(w, r); fullDuplex(w, r) },
}

func wrap(_ http.ResponseWriter, r *http.Request) { r.Body = struct{ io.ReadCloser }{r.Body} }

func fullDuplex(w http.ResponseWriter, _ *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex()
}

// world is a server with a guarded handler at every path. It counts smuggled requests.
type world struct {
	*httptest.Server
	second atomic.Int32 // requests to /smuggled
}

func newWorld(t *testing.T, rest time.Duration, around func(http.ResponseWriter, *http.Request), handle Handler) *world {
	t.Helper()
	w := &world{}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/smuggled":
			w.second.Add(1)
		case "/next":
			_, _ = io.WriteString(rw, "next")
		default:
			around(rw, r)
			if err := guard(rw, r, rest, handle); err != nil { // an error route answers, like Caddy's, which has a deadline
				http.Error(rw, err.Error(), http.StatusTeapot)
				_ = http.NewResponseController(rw).SetReadDeadline(time.Now().Add(rest))
			}
		}
	}))
	w.Listener = narrowListener{w.Listener}
	w.Start()
	t.Cleanup(w.Close)
	return w
}

// dial connects, with little room on the way, so that what is sent waits until it is read.
func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	narrow(conn)
	_ = conn.SetDeadline(time.Now().Add(patience))
	return conn
}

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

// No byte of a body becomes a request, whatever the body holds and however little of it the handler reads.
func TestNoSecondAnswer(t *testing.T) {
	for around, surround := range surroundings {
		t.Run(around, func(t *testing.T) {
			var all sync.WaitGroup
			worlds := make(map[string]*world, len(handlers))
			for name, handle := range handlers {
				w := newWorld(t, shortRest, surround, handle)
				worlds[name] = w
				for framing, f := range framings {
					conn := w.dial(t)
					all.Go(func() {
						if err := f.try(conn); err != nil {
							t.Errorf("%s, %s: %v", name, framing, err)
						}
					})
				}
			}
			all.Wait()
			for name, w := range worlds {
				w.Close()
				if n := w.second.Load(); n != 0 {
					t.Errorf("%s: requests smuggled in bodies: got %d, want 0", name, n)
				}
			}
		})
	}
}

const shortRest = 50 * time.Millisecond

// try sends a request with the framing and, if the connection is kept, a second one. It reads all answers.
func (f framing) try(conn net.Conn) error {
	sent := make(chan struct{})
	defer func() { conn.Close(); <-sent }()
	go func() {
		defer close(sent)
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+f.head+"\r\n"+f.body)
	}()
	answers := bufio.NewReader(conn)
	kept, err := readAnswer(answers)
	if err != nil {
		return nil // cut off, which is allowed when more is sent than the guard drops
	}
	if f.after != "" {
		_ = conn.SetReadDeadline(time.Now().Add(5 * shortRest)) // it closes by then, or not at all
		if _, err := answers.Peek(1); !errors.Is(err, io.EOF) {
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(conn, f.after)
		}
	}
	if kept {
		_, _ = io.WriteString(conn, "GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if _, err := readAnswer(answers); err != nil {
			return fmt.Errorf("second request: %w", err)
		}
	}
	if _, err := readAnswer(answers); err == nil {
		return errors.New("got an extra answer, want none: the bytes were not a request")
	}
	return nil
}

// readAnswer reads one answer and reports whether another may follow on the connection.
func readAnswer(from *bufio.Reader) (more bool, err error) {
	response, err := http.ReadResponse(from, nil)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusContinue {
		return readAnswer(from)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return !response.Close, err
}

// Refusing a request with a small body keeps the connection, and the next request on it is answered.
func TestSmallRestKeepsTheConnection(t *testing.T) {
	for name, handle := range handlers {
		switch name {
		case "closes the connection", "passes on, which answers", "passes on, which fails":
			continue
		case "reads a part", "reads up to a limit": // their deadline may pass before they read
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, patience, wrap, handle)
			conn := w.dial(t)
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 35\r\n\r\n"+smuggled+"GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
			answers := bufio.NewReader(conn)
			if more, err := readAnswer(answers); !more || err != nil {
				t.Fatalf("first answer: got connection kept %v, error %v; want true, nil", more, err)
			}
			response, err := http.ReadResponse(answers, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if text, _ := io.ReadAll(response.Body); string(text) != "next" {
				t.Errorf("second answer: got %q, want %q", text, "next")
			}
		})
	}
}

// A caller that sends everything before it reads learns why it was refused.
func TestRefusalReachesCallerStillSending(t *testing.T) {
	for _, name := range []string{"answers at once", "reads up to a limit", "returns an error", "passes on, which answers"} {
		for framing, head := range map[string]string{
			"length": fmt.Sprintf("Content-Length: %d\r\n\r\n", maxRest), "chunked": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", maxRest-smallRest),
		} {
			t.Run(name+"/"+framing, func(t *testing.T) {
				conn := newWorld(t, patience, wrap, handlers[name]).dial(t)
				body := strings.Repeat("a", maxRest)
				if framing == "chunked" {
					body = body[:maxRest-smallRest] + "\r\n0\r\n\r\n"
				}
				if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+head+body); err != nil {
					t.Fatalf("sending: got %v, want no error", err)
				}
				if _, err := readAnswer(bufio.NewReader(conn)); err != nil {
					t.Errorf("reading the answer: got %v, want no error", err)
				}
			})
		}
	}
}

// A caller gets its refusal without sending the body, and is not asked to send it.
func TestRefusalDoesNotWaitForTheBody(t *testing.T) {
	for name, head := range map[string]string{
		"large":                   fmt.Sprintf("Content-Length: %d\r\n", 2*smallRest),
		"chunked":                 "Transfer-Encoding: chunked\r\n",
		"instead of 100 Continue": "Expect: 100-continue\r\nContent-Length: 10\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, time.Hour, wrap, handlers["answers at once"])
			conn := w.dial(t)
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\n"+head+"\r\n")
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 403") {
				t.Errorf("got %q, %v, want 403", line, err)
			}
			conn.Close() // or the server waits for the rest
		})
	}
}

// A handler that was passed the request may read the body at its own pace, and so may an error route.
func TestPassOnLeavesTheBody(t *testing.T) {
	text := filled(3 * smallRest)
	read := func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || string(got) != text {
			t.Errorf("body: got %d bytes, error %v; want %d bytes, nil", len(got), err, len(text))
		}
		_, _ = io.WriteString(w, "read")
	}
	for name, handle := range map[string]Handler{
		"reads after the header": func(w http.ResponseWriter, r *http.Request) error {
			PassOn(r)
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			read(w, r)
			return nil
		},
		"leaves it to an error route": func(_ http.ResponseWriter, r *http.Request) error { PassOn(r); return errRefused },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if Guard(w, r, handle) != nil {
					read(w, r)
				}
			}))
			defer server.Close()
			response, err := http.Post(server.URL, "text/plain", strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if got, _ := io.ReadAll(response.Body); string(got) != "read" {
				t.Errorf("answer: got %q, want %q", got, "read")
			}
		})
	}
}

// The guard does not close a connection that was switched to another protocol.
func TestSwitchedProtocols(t *testing.T) {
	w := newWorld(t, time.Millisecond, wrap, func(w http.ResponseWriter, r *http.Request) error {
		PassOn(r)
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		control := http.NewResponseController(w)
		if err := control.Flush(); err != nil {
			return err
		}
		conn, both, err := control.Hijack()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			line, _ := both.ReadString('\n')
			_, _ = io.WriteString(conn, line)
		}()
		return nil
	})
	conn := w.dial(t)
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\nContent-Length: 4\r\n\r\nbody")
	from := bufio.NewReader(conn)
	response, err := http.ReadResponse(from, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Connection") != "Upgrade" {
		t.Fatalf("got %v, %v; want 101 with Connection: Upgrade", response, err)
	}
	defer response.Body.Close()
	_, _ = io.WriteString(conn, "echo\n")
	if line, err := from.ReadString('\n'); line != "echo\n" {
		t.Errorf("got %q, %v; want %q, nil", line, err, "echo\n")
	}
}
