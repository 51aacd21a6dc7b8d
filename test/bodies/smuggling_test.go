package bodies_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every endpoint, refused before its body was read, and every framing of a body: there is never a second answer out of
// one request's bytes, and who sends up to 8 MiB before they read is answered.
func TestNoByteOfABodyIsARequest(t *testing.T) {
	rounds := proofRounds(t)
	for name, s := range settings {
		if rounds == 0 && name != "plain" && name != "everything" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, s)
			for range max(rounds, 1) {
				w.tryAll(t, rounds > 0)
			}
			if warned := strings.Contains(w.Output(), "enable_full_duplex is on"); warned != (s.servers != "") {
				t.Errorf("got warned of full duplex: %v, want %v", warned, s.servers != "")
			}
		})
	}
}

// tryAll tries every framing on every endpoint; large bodies on a few, unless all are wanted.
func (w *world) tryAll(t *testing.T, large bool) {
	var all sync.WaitGroup
	atOnce := make(chan struct{}, 200) // connections
	for i, e := range endpoints {
		for framing, f := range framings {
			if f.large && !large && i >= 6 {
				continue
			}
			atOnce <- struct{}{}
			all.Go(func() {
				defer func() { <-atOnce }()
				if err := w.try(e, f); err != nil {
					t.Errorf("%s, %s: %v", e.request, framing, err)
				}
			})
		}
	}
	all.Wait()
}

// proofRounds is how many rounds make proof wants of everything; 0: make test wants some of it.
func proofRounds(t testing.TB) int {
	t.Helper()
	text := os.Getenv("BODIES")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("BODIES=%s: want a number of rounds", text)
	}
	return n
}

// try sends a request, and one more where the connection was kept, and reads all answers.
func (w *world) try(e endpoint, f framing) error {
	conn, err := w.dial(e.port())
	if err != nil {
		return err
	}
	sent := make(chan struct{})
	defer func() { conn.Close(); <-sent }()
	send := func() {
		defer close(sent)
		f.send(conn, e.request+" HTTP/1.1\r\nHost: "+e.host(w.Port(e.port()))+"\r\n"+e.header)
	}
	if f.whole {
		send()
	} else {
		go send()
	}
	from := bufio.NewReader(conn)
	first, err := readAnswer(from)
	switch {
	case err != nil && f.whole:
		return fmt.Errorf("no answer to who has sent everything: %w", err)
	case err != nil:
		return nil // nothing can be smuggled through a connection that is broken off
	case e.status != 0 && first.StatusCode != e.status && first.StatusCode != http.StatusBadRequest:
		return fmt.Errorf("got status %d, want %d", first.StatusCode, e.status)
	case strings.Contains(first.text, "smuggled"):
		return errors.New("the smuggled request was answered")
	}
	if f.after != "" {
		_ = conn.SetReadDeadline(time.Now().Add(dropTime + 2*time.Second)) // it is closed by then, or never
		if _, err := from.Peek(1); !errors.Is(err, io.EOF) {
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(conn, f.after)
		}
	}
	if !first.Close {
		const next = "GET /next HTTP/1.1\r\nHost: next\r\nConnection: close\r\n\r\n"
		_, _ = io.WriteString(conn, next)
		second, err := readAnswer(from)
		if err != nil {
			return fmt.Errorf("the request behind it: %w", err)
		}
		if strings.Contains(second.text, "smuggled") {
			return errors.New("the smuggled request was answered")
		}
	}
	if another, err := readAnswer(from); err == nil {
		return fmt.Errorf("got an answer to what was no request: %d %q", another.StatusCode, another.text)
	}
	return nil
}

// answer is one, read to its end.
type answer struct {
	*http.Response
	text string
}

func readAnswer(from *bufio.Reader) (answer, error) {
	response, err := http.ReadResponse(from, nil)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusContinue {
		return readAnswer(from)
	}
	text, err := io.ReadAll(response.Body)
	return answer{response, string(text)}, err
}
