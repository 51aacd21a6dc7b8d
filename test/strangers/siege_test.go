package strangers_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/time/rate"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// kind is a request that strangers send half of.
type kind struct {
	request string // method and path
	header  string // lines, each with its end
	length  int    // that is declared
	sent    int    // bytes of it that are sent; zero: a few
	pool    string // that it takes from
}

// half is what is sent of it.
func (k kind) half() string {
	return fmt.Sprintf("%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n%s", k.request, k.length, k.header,
		strings.Repeat("a", max(k.sent, 10)))
}

// count is how many half-sent requests there are: those that make proof wants, or what make test has time for.
func count(t testing.TB, few int) int {
	t.Helper()
	text := os.Getenv("STRANGERS")
	if text == "" {
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < few {
		t.Fatalf("STRANGERS=%s: want a number of half-sent requests, at least %d", text, few)
	}
	return n
}

// origins are the addresses that strangers come from: the one that honest clients have too, or many others.
func origins(n int) []string {
	if n == 1 {
		return []string{"127.0.0.1"}
	}
	addresses := make([]string, n)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("127.0.1.%d", i+1)
	}
	return addresses
}

// siege is strangers who send half of requests, and begin again as soon as they are thrown out.
type siege struct {
	stop context.CancelFunc
	all  sync.WaitGroup
}

// pace is how many requests a second strangers begin again.
const pace = 200

// besiege has n strangers at a site. It returns when each has sent its half.
func (w *world) besiege(t testing.TB, k kind, n int, from []string) *siege {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &siege{stop: stop}
	t.Cleanup(s.end)
	again := rate.NewLimiter(pace, pace)
	half := k.half()
	var first sync.WaitGroup
	failed := make(chan error, n)
	for i := range n {
		first.Add(1)
		s.all.Go(func() {
			once := sync.OnceFunc(first.Done)
			defer once()
			for ctx.Err() == nil {
				if err := sendHalf(ctx, "127.0.0.1:"+w.Port("GATEWAY"), from[i%len(from)], half, once); err != nil && ctx.Err() == nil {
					failed <- fmt.Errorf("stranger %d: %w", i, err)
					return
				}
				_ = again.Wait(ctx) // ends with the siege
			}
		})
	}
	first.Wait()
	select {
	case err := <-failed:
		t.Fatal(err)
	default:
	}
	return s
}

// sendHalf sends half of a request, and waits for the end of the connection.
func sendHalf(ctx context.Context, to, from, half string, sent func()) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: patience}
	conn, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		return err
	}
	closing := context.AfterFunc(ctx, func() { conn.Close() })
	defer closing()
	defer conn.Close()
	_, _ = io.WriteString(conn, half) // may be thrown out before it has sent it
	sent()
	_, _ = io.Copy(io.Discard, conn)
	return nil
}

// end sends the strangers away.
func (s *siege) end() {
	s.stop()
	s.all.Wait()
}

// metric is what a metric is at, added up over the series with these labels.
func (w *world) metric(t testing.TB, series string) float64 {
	t.Helper()
	name, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	sum := 0.0
	for line := range strings.Lines(w.metrics(t)) {
		got, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		gotName, gotLabels, _ := strings.Cut(strings.TrimSuffix(got, "}"), "{")
		if gotName != name || !hasAll(gotLabels, labels) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("metric %q: %v", line, err)
		}
		sum += n
	}
	return sum
}

func hasAll(labels, wanted string) bool {
	for label := range strings.SplitSeq(wanted, ",") {
		if !strings.Contains(","+labels+",", ","+label+",") {
			return false
		}
	}
	return true
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	if !gateway.Eventually(patience, is) {
		t.Fatalf("waited %s for %s", patience, what)
	}
}
