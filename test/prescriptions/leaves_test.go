// Package prescriptions_test proves of the built binary that a person is shown of prescriptions what they sign, and
// nothing else.
package prescriptions_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/prescription"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// eps is an Electronic Prescription Service that has seen other bundles than the ones that pass the gateway: it answers
// each with what is prepared for it.
type eps struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string][]byte // by X-Request-Id
}

func newEPS(t *testing.T) *eps {
	e := &eps{answers: map[string][]byte{}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		e.mu.Lock()
		defer e.mu.Unlock()
		w.Header().Set("Content-Type", "application/fhir+json")
		_, _ = w.Write(e.answers[r.Header.Get("X-Request-Id")])
	}))
	t.Cleanup(e.Close)
	return e
}

// change is a bundle with one leaf changed after it was prepared.
type change struct {
	name     string
	altered  []byte
	prepared prescription.Prepared // of the bundle as it was
	unsigned bool                  // the leaf is not signed: the digest stays
}

const at = "2026-11-30T12:00:00+00:00"

// changes picks so many of all leaves of all recorded bundles.
func changes(t *testing.T, count int) []change {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(gateway.Root(t), "prescription", "testdata", "eps", "bundles", "*.json"))
	if err != nil || len(files) < 50 {
		t.Fatalf("%d bundles, %v", len(files), err)
	}
	start, err := time.Parse(prescription.TimestampFormat, at)
	if err != nil {
		t.Fatal(err)
	}
	var all []change
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first, ok := prepare(source, start)
		if second, _ := prepare(source, start.Add(time.Second)); !ok || bytes.Equal(first.SignedInfo, second.SignedInfo) {
			continue // it cannot be prepared, or holds the time that is signed, and has one payload for all of its leaves
		}
		for i, altered := range alterations(t, source) {
			all = append(all, change{name: fmt.Sprintf("%s, leaf %d", filepath.Base(file), i), altered: altered, prepared: prescription.Prepared{SignedInfo: source}})
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("%d leaves, of which %d are changed; seed %d", len(all), min(count, len(all)), seed)
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] }) //nolint:gosec // G404: a choice of cases
	all = all[:min(count, len(all))]
	for i := range all {
		moment := start.Add(time.Duration(i) * time.Second) // so that each has a payload of its own
		before, _ := prepare(all[i].prepared.SignedInfo, moment)
		all[i].prepared, all[i].unsigned = before, bytes.Equal(before.Fragments, fragments(all[i].altered, moment))
	}
	return all
}

func prepare(source []byte, moment time.Time) (prescription.Prepared, bool) {
	bundle, err := prescription.ReadBundle(source)
	if err != nil {
		return prescription.Prepared{}, false
	}
	prepared, outcome := prescription.Prepare(bundle, prescription.MayPrescribe, "RS256", moment)
	return prepared, outcome == nil
}

// fragments are what a bundle signs, also one that EPS would refuse for something that is not signed.
func fragments(source []byte, moment time.Time) []byte {
	bundle, err := prescription.ReadBundle(source)
	if err != nil {
		return nil
	}
	p, refusal := prescription.Translate(bundle, moment)
	if refusal != nil {
		return nil
	}
	return p.Fragments()
}

// alterations are a bundle with each of its strings, numbers and booleans changed, one at a time.
func alterations(t *testing.T, source []byte) (all [][]byte) {
	t.Helper()
	decoder := jsontext.NewDecoder(bytes.NewReader(source))
	for {
		switch decoder.PeekKind() {
		case 0:
			return all
		case '{', '[', '}', ']':
			if _, err := decoder.ReadToken(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		value, err := decoder.ReadValue()
		if err != nil {
			t.Fatal(err)
		}
		if container, length := decoder.StackIndex(decoder.StackDepth()); container == '{' && length%2 == 1 {
			continue // a member name
		}
		end := int(decoder.InputOffset())
		all = append(all, slices.Concat(source[:end-len(value)], other(value), source[end:]))
	}
}

// other is another value of the same kind.
func other(value []byte) []byte {
	switch value[0] {
	case '"':
		return slices.Concat(value[:len(value)-1], []byte(`x"`))
	case 't':
		return []byte("false")
	case 'f':
		return []byte("true")
	}
	return slices.Concat([]byte("1"), value)
}

// A bundle that passes the gateway with one leaf other than EPS has it shows nothing, unless the leaf is not signed: then
// the page shows the prescription, since its digest is the one to be signed. TestLeaves of package prescription holds
// which leaves these are to the docs. LEAVES says how many are tried.
func TestAChangedLeafIsNotShown(t *testing.T) {
	count := 200
	if n, err := strconv.Atoi(os.Getenv("LEAVES")); err == nil {
		count = n
	}
	service := newEPS(t)
	key := gateway.NewKey(t, 4096)
	g := gateway.Start(t, fmt.Sprintf(`{
`+gateway.Options+`	metrics
	countersign {
		environment int
		client acme {
			key acme-1 %s
			callback http://localhost:9/signed
			algorithms RS256
			max_sessions 1000
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /main/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/main
			access open
			mock https://localhost:{$PORT_AGENT} {
				`+gateway.MutualTLS+`			}
			certificates {
				trust mock
			}
		}
	}
	handle_path /eps/* {
		eps {
			client acme
		}
		reverse_proxy %s
	}
}

https://localhost:{$PORT_AGENT} {
`+gateway.DemandMutualTLS+`	smartcard_agent mock {
		allow_client gateway.countersign.internal
	}
}
`, key.Public, service.URL))
	system := gateway.System{Base: g.URL("GATEWAY", "/main"), ID: "acme", Kid: "acme-1", Key: key, Sub: "555086689106"}

	tried := changes(t, count)
	for i, c := range tried {
		text, err := json.Marshal(c.prepared)
		if err != nil {
			t.Fatal(err)
		}
		id := "leaf-" + strconv.Itoa(i)
		service.mu.Lock()
		service.answers[id] = text
		service.mu.Unlock()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.URL("GATEWAY", "/eps/FHIR/R4/$prepare"), bytes.NewReader(c.altered))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/fhir+json")
		request.Header.Set("X-Request-Id", id)
		if answer := gateway.Send(t, request); answer.Status != http.StatusOK || !bytes.Equal(answer.Body, text) {
			t.Fatalf("%s: got %d %.200s", c.name, answer.Status, answer.Body)
		}
		if i%500 == 499 {
			awaitChecked(t, g, i+1)
		}
	}
	awaitChecked(t, g, len(tried))

	unsigned, signed := 0, 0
	for _, group := range [][]change{
		slices.DeleteFunc(slices.Clone(tried), func(c change) bool { return !c.unsigned }),
		slices.DeleteFunc(slices.Clone(tried), func(c change) bool { return c.unsigned }),
	} {
		for batch := range slices.Chunk(group, 250) {
			shown := display(t, system, batch)
			want := len(batch) // payloads without a display
			if batch[0].unsigned {
				want = 0
			}
			if shown.Missing != want || shown.Display != map[bool]string{true: "shown", false: "fallback"}[want == 0] {
				t.Errorf("of %d (%s and others; not signed: %v) %d are not shown, want %d", len(batch), batch[0].name, batch[0].unsigned, shown.Missing, want)
			}
			if batch[0].unsigned {
				unsigned += len(batch)
			} else {
				signed += len(batch)
			}
		}
	}
	if unsigned < count/50 || signed < count/4 {
		t.Errorf("%d of the leaves were signed and %d not: that proves little", signed, unsigned)
	}
}

// shown is what the page is told.
type shown struct {
	Display string `json:"display"`
	Missing int    `json:"missing"`
}

func display(t *testing.T, system gateway.System, batch []change) (found shown) {
	t.Helper()
	payloads := make([]gateway.Payload, len(batch))
	for i, c := range batch {
		payloads[i] = gateway.Payload{ID: strconv.Itoa(i), Payload: c.prepared.Digest()}
	}
	b := gateway.Visit(t, system.Request(t, "RS256", "", payloads...).RedirectURI)
	b.Open()
	answer := b.Call(http.MethodPost, "/display", map[string]string{"id": b.ID})
	if err := json.Unmarshal(answer.Body, &found); err != nil || answer.Status != http.StatusOK {
		t.Fatalf("the display: %d %v %.300s", answer.Status, err, answer.Body)
	}
	return found
}

// awaitChecked waits until the gateway has checked so many answers of $prepare.
func awaitChecked(t *testing.T, g *gateway.Gateway, want int) {
	t.Helper()
	var got float64
	if !gateway.Eventually(2*time.Minute, func() bool {
		got = 0
		for line := range strings.Lines(string(gateway.Get(t, g.URL("ADMIN", "/metrics"), nil).Body)) {
			if sample, value, _ := strings.Cut(strings.TrimSpace(line), " "); strings.HasPrefix(sample, "countersign_displays_total{") {
				n, err := strconv.ParseFloat(value, 64)
				if err != nil {
					t.Fatal(err)
				}
				got += n
			}
		}
		return got >= float64(want)
	}) {
		t.Fatalf("%v answers were checked, want %d", got, want)
	}
}
