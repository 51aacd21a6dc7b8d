package eps

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/prescription"
)

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// keeper takes what is behind its payload.
type keeper struct {
	mu   sync.Mutex
	kept []string // client and patient
	err  error
}

func (k *keeper) Keep(_ context.Context, of string, payload, fragments []byte) error {
	p, err := prescription.Display(fragments, payload)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return k.err
	}
	k.kept = append(k.kept, of+" "+p.Patient.NHSNumber)
	return nil
}

// ward is a Checker before an EPS that answers as it is told.
type ward struct {
	*Checker
	keeper   *keeper
	outcomes []string
	mu       sync.Mutex
	log      bytes.Buffer
}

func newWard(t *testing.T, change func(*CheckerOptions)) *ward {
	w := &ward{keeper: &keeper{}}
	options := CheckerOptions{Keeper: w.keeper, Workers: 1, Now: func() time.Time { return noon }, Observe: func(outcome string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.outcomes = append(w.outcomes, outcome)
	}}
	options.Logger = slog.New(slog.NewTextHandler(&w.log, nil))
	if change != nil {
		change(&options)
	}
	w.Checker = NewChecker(options)
	t.Cleanup(func() { w.Close(context.Background()) })
	return w
}

// call posts a body to $prepare past the ward, and returns what the caller got.
func (w *ward) call(t *testing.T, header http.Header, sent []byte, answers http.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/FHIR/R4/$prepare", bytes.NewReader(sent))
	for name, values := range header {
		r.Header[name] = values
	}
	got := httptest.NewRecorder()
	err := w.Watch("a", got, r, func(w http.ResponseWriter, r *http.Request) error {
		answers(w, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// settled waits until all has been checked, and returns the outcomes.
func (w *ward) settled() string {
	w.Close(context.Background())
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.outcomes, " ")
}

func bundle(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("../prescription/testdata/eps/bundles/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// answerFor is what $prepare answers for a bundle.
func answerFor(t testing.TB, data []byte) []byte {
	t.Helper()
	b, err := prescription.ReadBundle(data)
	if err != nil {
		t.Fatal(err)
	}
	made, outcome := prescription.Prepare(b, prescription.MayPrescribe, client.RS256, noon)
	if outcome != nil {
		t.Fatal(outcome.Issues)
	}
	text, err := json.Marshal(made)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func packed(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(data)
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// reads has EPS read the request to its end and answer with a text.
func reads(status int, answer []byte, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write(answer)
	}
}

// A request and its answer pass as they are, whatever they hold, and the display is kept only if the digest is the same.
func TestWatch(t *testing.T) {
	sent := bundle(t, "acute-one-item")
	answer := answerFor(t, sent)
	other := bytes.Replace(sent, []byte(`"ASHDOWN"`), []byte(`"ASHDOWNE"`), 1)
	if bytes.Equal(sent, other) {
		other = bytes.Replace(sent, []byte(`"family": "`), []byte(`"family": "X`), 1)
	}
	unsigned := bytes.Replace(sent, []byte(`"authoredOn"`), []byte(`"authoredOff"`), 1)
	huge := append(bytes.Repeat([]byte(" "), prescription.MaxBytes), sent...)
	for _, c := range []struct {
		name    string
		header  http.Header
		sent    []byte
		answers http.HandlerFunc
		want    string
	}{
		{"equal", nil, sent, reads(200, answer), OutcomeKept},
		{"a field that is not signed", nil, unsigned, reads(200, answer), OutcomeKept},
		{"packed both ways", http.Header{"Content-Encoding": {"gzip"}}, packed(t, sent), reads(200, packed(t, answer), "Content-Encoding", "gzip"), OutcomeKept},
		{"another name", nil, other, reads(200, answer), OutcomeDifferent},
		{"cannot be translated", nil, bundle(t, "error-birth-date"), reads(200, answer), OutcomeDifferent},
		{"no bundle", nil, []byte(`{`), reads(200, answer), OutcomeUnreadable},
		{"no JSON", nil, sent, reads(200, []byte("<html>")), OutcomeUnreadable},
		{"no digest", nil, sent, reads(200, []byte(`{"resourceType":"Parameters","parameter":[]}`)), OutcomeUnreadable},
		{"no gzip", nil, sent, reads(200, answer, "Content-Encoding", "gzip"), OutcomeUnreadable},
		{"brotli", nil, sent, reads(200, answer, "Content-Encoding", "br"), OutcomeUnreadable},
		{"a bomb", http.Header{"Content-Encoding": {"gzip"}}, packed(t, huge), reads(200, answer), OutcomeUnreadable},
		{"too large", nil, huge, reads(200, answer), OutcomeTooLarge},
		{"an answer that is too large", nil, sent, reads(200, bytes.Repeat([]byte(" "), maxAnswer+1)), OutcomeTooLarge},
		{"answered before it was read", nil, sent, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(answer) }, OutcomeTooLarge},
		{"refused", nil, sent, reads(400, answer), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWard(t, nil)
			got := w.call(t, c.header, c.sent, c.answers)
			plain := httptest.NewRecorder()
			c.answers(plain, httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(c.sent)))
			if got.Code != plain.Code || !bytes.Equal(got.Body.Bytes(), plain.Body.Bytes()) {
				t.Errorf("the caller got %d and %d bytes, want %d and %d", got.Code, got.Body.Len(), plain.Code, plain.Body.Len())
			}
			if outcome := w.settled(); outcome != c.want {
				t.Errorf("outcome %q, want %q\n%s", outcome, c.want, w.log.String())
			}
			if kept := len(w.keeper.kept); (kept == 1) != (c.want == OutcomeKept) {
				t.Errorf("%d displays are kept", kept)
			}
			if used := w.budget.used.Load(); used != 0 {
				t.Errorf("%d bytes are held at the end", used)
			}
		})
	}
}

// The first difference is told with what an operator may know, and nothing of the patient is in the log.
func TestDifference(t *testing.T) {
	sent := bundle(t, "acute-one-item")
	w := newWard(t, nil)
	answer := answerFor(t, bundle(t, "controlled-drug"))
	for range 3 {
		w.call(t, nil, sent, reads(200, answer))
	}
	if got, want := w.settled(), strings.TrimSpace(strings.Repeat(OutcomeDifferent+" ", 3)); got != want {
		t.Errorf("outcomes %s, want %s", got, want)
	}
	first, all := w.Differences()
	if first == nil || all != 3 || !first.Time.Equal(noon) || first.Client != "a" || first.Items != 1 || !strings.HasPrefix(first.Type, "0") {
		t.Errorf("the first of %d is %+v", all, first)
	}
	for _, secret := range []string{"ASHDOWN", "Ashdown", "999", "Marged"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log has %q:\n%s", secret, w.log.String())
		}
	}
}

// Only $prepare, by POST and of a client, is looked at.
func TestOthersPass(t *testing.T) {
	w := newWard(t, nil)
	for _, c := range []struct{ method, path, client string }{
		{http.MethodGet, "/FHIR/R4/$prepare", "a"}, {http.MethodPost, "/FHIR/R4/$process-message", "a"},
		{http.MethodPost, "/FHIR/R4/$prepare/x", "a"}, {http.MethodPost, "/FHIR/R4/$prepare", ""},
	} {
		passed := false
		r := httptest.NewRequest(c.method, c.path, strings.NewReader("x"))
		body := r.Body
		err := w.Watch(c.client, httptest.NewRecorder(), r, func(w http.ResponseWriter, r *http.Request) error {
			_, watched := w.(*watchedAnswer)
			passed = !watched && r.Body == body
			return nil
		})
		if err != nil || !passed {
			t.Errorf("%v: passed %v, %v", c, passed, err)
		}
	}
	failed := errors.New("no upstream")
	err := w.Watch("a", httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/$prepare", strings.NewReader("x")),
		func(http.ResponseWriter, *http.Request) error { return failed })
	if !errors.Is(err, failed) {
		t.Errorf("the next handler's error became %v", err)
	}
	if got := w.settled(); got != "" {
		t.Errorf("outcomes %q, want none", got)
	}
}

// What is more than can be held or queued is not checked, and nobody waits for it.
func TestBounds(t *testing.T) {
	sent := bundle(t, "acute-one-item")
	answer := answerFor(t, sent)
	w := newWard(t, func(o *CheckerOptions) { o.Budget = int64(len(sent)) })
	w.call(t, nil, sent, reads(200, answer))
	if got := w.settled(); got != OutcomeTooLarge {
		t.Errorf("over the budget: %q, want %q", got, OutcomeTooLarge)
	}
	stuck := &stuckKeeper{entered: make(chan struct{}), leave: make(chan struct{})}
	w = newWard(t, func(o *CheckerOptions) { o.Queue, o.Keeper = 1, stuck })
	w.call(t, nil, sent, reads(200, answer))
	<-stuck.entered // the worker is busy
	w.call(t, nil, sent, reads(200, answer))
	w.call(t, nil, sent, reads(200, answer))
	close(stuck.leave)
	if got := w.settled(); got != OutcomeBusy+" "+OutcomeKept+" "+OutcomeKept {
		t.Errorf("with a full queue: %q", got)
	}
	w.call(t, nil, sent, reads(200, answer))
	if got := w.settled(); !strings.HasSuffix(got, OutcomeBusy) || w.budget.used.Load() != 0 {
		t.Errorf("after its end: %q, and %d bytes are held", got, w.budget.used.Load())
	}
}

type stuckKeeper struct {
	once           sync.Once
	entered, leave chan struct{}
}

func (s *stuckKeeper) Keep(context.Context, string, []byte, []byte) error {
	s.once.Do(func() { close(s.entered) })
	<-s.leave
	return nil
}

// A Keeper that has no room is told to the log, and the answer has passed.
func TestNotKept(t *testing.T) {
	sent := bundle(t, "acute-one-item")
	w := newWard(t, nil)
	w.keeper.err = errors.New("full")
	w.call(t, nil, sent, reads(200, answerFor(t, sent)))
	if got := w.settled(); got != OutcomeNotKept || !strings.Contains(w.log.String(), "full") {
		t.Errorf("outcome %q, log:\n%s", got, w.log.String())
	}
}
