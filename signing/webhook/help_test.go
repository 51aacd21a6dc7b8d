package webhook

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// source makes a body of each delivery's content.
type source struct {
	ripen func(ctx context.Context, d *Delivery) error
	body  func(d *Delivery) ([]byte, error)
}

func (s *source) Ripen(ctx context.Context, d *Delivery) error { return s.ripen(ctx, d) }

func (s *source) Body(_ context.Context, d *Delivery) ([]byte, error) {
	if s.body != nil {
		return s.body(d)
	}
	return fmt.Appendf(nil, `{"id":%q,"type":%q,"timestamp":%q,"data":%s}`, d.ID, d.Type, d.At.Format(time.RFC3339), d.Content), nil
}

// arrival is one POST that a receiver got.
type arrival struct {
	at     time.Time
	host   string
	header http.Header
	body   []byte
}

// receivers are the systems that webhooks go to, by host, as an http.RoundTripper: no network is needed, so that time
// can be the test's own.
type receivers struct {
	mu       sync.Mutex
	arrivals []arrival
	answer   func(r *http.Request) (*http.Response, error)
}

func (r *receivers) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.arrivals = append(r.arrivals, arrival{time.Now(), request.URL.Host, request.Header, body})
	answer := r.answer
	r.mu.Unlock()
	if answer == nil {
		return status(http.StatusNoContent), nil
	}
	return answer(request)
}

func (r *receivers) set(answer func(*http.Request) (*http.Response, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receivers) got() []arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]arrival(nil), r.arrivals...)
}

func (r *receivers) at(host string) (n int) {
	for _, a := range r.got() {
		if a.host == host {
			n++
		}
	}
	return n
}

func status(code int) *http.Response {
	return &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody}
}

// always answers every POST in one way.
func always(code int) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return status(code), nil }
}

var errDown = errors.New("down")

// silent answers only when the caller gives up.
func silent(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// world is a dispatcher with its store and its receivers, in the test's own time.
type world struct {
	testing.TB
	*Dispatcher
	store     store.Store
	receivers *receivers
	source    *source
	settings  Settings
	keys      client.WebhookKeys
	logs      *logs
	attempts  *logs
}

func (w *world) Attempted(client, outcome string, _ time.Duration) {
	fmt.Fprintln(w.attempts, client, outcome)
}

func (w *world) observed() []string {
	return strings.Split(strings.TrimSuffix(w.attempts.String(), "\n"), "\n")
}

// logs collects lines from any goroutine.
type logs struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// pass lets the bubble's time go on, and everything that is due then happen.
func pass(d time.Duration) {
	time.Sleep(d) //nolint:forbidigo // no time is spent: the bubble's clock is moved
	synctest.Wait()
}

// newWorld starts a dispatcher for the client acme. It must be called within a synctest bubble, which the test must
// let end by w.end.
func newWorld(t testing.TB, change func(*Settings)) *world {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		TB: t, store: memory.New(memory.Options{}), receivers: &receivers{}, source: &source{}, logs: &logs{}, attempts: &logs{},
		keys: client.WebhookKeys{"k1": public},
	}
	w.settings = Settings{
		Addresses: map[string]string{"acme": "https://acme.example/hook"},
		HTTP:      &http.Client{Transport: w.receivers, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Sign: func(_ context.Context, content []byte) ([]jwks.RingSignature, error) {
			return []jwks.RingSignature{{KID: "k1", Value: ed25519.Sign(private, content)}}, nil
		},
		Source: w.source,
		Logger: slog.New(slog.NewTextHandler(w.logs, nil)),
	}
	if change != nil {
		change(&w.settings)
	}
	w.Dispatcher = New(Options{Store: w.store, Observer: w, Random: func() float64 { return 0 }})
	w.Use("first", w.settings)
	return w
}

func (w *world) end() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w.Close(ctx)
}

// tell queues an event and wakes the dispatcher.
func (w *world) tell(id, to string) {
	w.Helper()
	now := time.Now()
	w.put(Tell(id, to, "signing.completed", jsontext.Value(`{"n":1}`), now, now, now.Add(2*time.Hour)))
	w.Wake(to)
}

func (w *world) put(r *store.Record, err error) {
	w.Helper()
	if err == nil {
		err = w.store.Commit(w.Context(), store.Batch{Then: []store.Op{{Put: r}}})
	}
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) find(id string) *Delivery {
	w.Helper()
	found, err := Find(w.Context(), w.store, id)
	if err != nil || found == nil {
		w.Fatalf("delivery %s: %v %v", id, found, err)
	}
	return found
}
