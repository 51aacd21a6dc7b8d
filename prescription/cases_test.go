package prescription

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

// expected is what the real translation made of one bundle of testdata/eps.
type expected struct {
	Name      string
	Time      string
	Fragments string
	RS1       string
	RS256     string
	Error     string
	Code      string
	Path      string
	Issues    json.RawMessage
}

// epsCases are the recorded cases, in their order.
func epsCases(t testing.TB) []expected {
	t.Helper()
	data, err := os.ReadFile("testdata/eps/expected.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var cases []expected
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c expected
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	if len(cases) != 98 {
		t.Fatalf("got %d cases, want 98", len(cases))
	}
	return cases
}

func (c expected) source(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/eps/bundles/" + c.Name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (c expected) at(t testing.TB) time.Time {
	t.Helper()
	if c.Time == "" {
		return time.Time{}
	}
	at, err := time.Parse("20060102150405", c.Time)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func mustRead(t testing.TB, source []byte) *Bundle {
	t.Helper()
	b, err := ReadBundle(source)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTranslation compares every case with the fragments, or the error, of the real translation.
func TestTranslation(t *testing.T) {
	for _, c := range epsCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			p, refusal := Translate(mustRead(t, c.source(t)), c.at(t))
			switch {
			case c.Fragments != "" && refusal != nil:
				t.Fatalf("got refusal %v, want fragments", refusal)
			case c.Fragments != "":
				got := string(p.Fragments())
				if got != c.Fragments {
					t.Fatalf("got fragments\n%s\nwant\n%s", got, c.Fragments)
				}
				again, err := ReadFragments([]byte(got))
				if err != nil {
					t.Fatalf("reading the fragments: %v", err)
				}
				if string(again.Fragments()) != got {
					t.Fatal("fragments read and written again differ")
				}
			case refusal == nil:
				if c.Code != "" {
					t.Fatalf("got fragments, want %s at %s: %s", c.Code, c.Path, c.Error)
				}
				t.Logf("got no refusal, want %q", c.Error)
			case c.Code == "":
				t.Logf("got %v, want %q", refusal, c.Error)
			case refusal.Code != c.Code || refusal.Text != c.Error || refusal.Path != c.Path:
				t.Fatalf("got %v, want %s at %s: %s", refusal, c.Code, c.Path, c.Error)
			}
		})
	}
}

// TestPrepare compares every case with the issues that the real $prepare returns, or with the digests.
func TestPrepare(t *testing.T) {
	for _, c := range epsCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			b := mustRead(t, c.source(t))
			for algorithm, digest := range map[string]string{client.RS1: c.RS1, client.RS256: c.RS256} {
				prepared, outcome := Prepare(b, MayPrescribe, algorithm, c.at(t))
				switch {
				case c.Issues != nil:
					mustHaveIssues(t, outcome, c.Issues)
				case c.Error != "":
					if outcome == nil || len(outcome.Issues) != 1 {
						t.Fatalf("got outcome %v, want one issue", outcome)
					}
				case outcome != nil:
					t.Fatalf("got outcome %v, want a digest", outcome)
				case prepared.Digest() != digest:
					t.Errorf("%s: got digest %s, want %s", algorithm, prepared.Digest(), digest)
				}
			}
		})
	}
}

func mustHaveIssues(t *testing.T, outcome *Outcome, want json.RawMessage) {
	t.Helper()
	if outcome == nil {
		t.Fatalf("got no outcome, want issues %s", want)
	}
	written, err := json.Marshal(outcome.Issues)
	if err != nil {
		t.Fatal(err)
	}
	var gotValue, wantValue any
	if json.Unmarshal(written, &gotValue) != nil || json.Unmarshal(want, &wantValue) != nil || !reflect.DeepEqual(gotValue, wantValue) {
		t.Fatalf("got issues\n%s\nwant\n%s", written, want)
	}
}
