package signing

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/prescription"
)

// shelf has the displays of prescriptions by client and payload.
type shelf struct {
	all   map[string]*prescription.Prescription
	looks map[string]bool // by client, person and payload
	err   error

	none bool // no display is ever kept
}

func (s *shelf) Any() bool { return !s.none }

func (s *shelf) Find(_ context.Context, of, person string, payloads [][]byte, _ time.Time) (found []*prescription.Prescription, looked []bool, err error) {
	found, looked = make([]*prescription.Prescription, len(payloads)), make([]bool, len(payloads))
	for i, payload := range payloads {
		found[i], looked[i] = s.all[of+string(payload)], s.looks[of+person+string(payload)]
	}
	return found, looked, s.err
}

func (s *shelf) Look(_ context.Context, of, person string, payloads [][]byte, looked bool) error {
	for _, payload := range payloads {
		if s.looks == nil {
			s.looks = map[string]bool{}
		}
		s.looks[of+person+string(payload)] = looked
	}
	return s.err
}

// prepared is a recorded prescription, changed, as a payload of a request. The shelf has it for the client.
func (s *shelf) prepared(t testing.TB, of, name, id string, change func(*prescription.Prescription)) payload {
	t.Helper()
	data, err := os.ReadFile("../prescription/testdata/eps/bundles/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := prescription.ReadBundle(data)
	if err != nil {
		t.Fatal(err)
	}
	p, refusal := prescription.Translate(bundle, time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))
	if refusal != nil {
		t.Fatal(refusal)
	}
	if change != nil {
		change(p)
	}
	info, _, err := client.SignedInfo(RS256, p.Fragments())
	if err != nil {
		t.Fatal(err)
	}
	if s.all == nil {
		s.all = map[string]*prescription.Prescription{}
	}
	s.all[of+string(info)] = p
	return payload{ID: id, Payload: base64.StdEncoding.EncodeToString(info)}
}

// asks has a session with these payloads opened in a browser.
func (w *world) asks(payloads ...payload) *browser {
	w.Helper()
	claims := w.claimsFor(RS256, len(payloads))
	claims["payloads"] = payloads
	ticket := w.accept(sign(w, clientKey(), header(), claims), "")
	b := visit(w, w.Service, ticket.RedirectURI)
	mustBe(w, b.open(ticket.RedirectURI), http.StatusOK)
	return b
}

// display asks for the prescriptions of a session.
func (b *browser) display(id string) *httptest.ResponseRecorder {
	b.Helper()
	return b.do(b.request("/client/display", map[string]string{"id": id}))
}

func displayed(t *testing.T, b *browser) map[string]any {
	t.Helper()
	got := b.display(b.view.ID)
	mustBe(t, got, http.StatusOK)
	var shown map[string]any
	if err := json.Unmarshal(got.Body.Bytes(), &shown); err != nil {
		t.Fatal(err)
	}
	return shown
}

// The page is shown what is proven, and how many there are; the audit log has that it was, once.
func TestDisplay(t *testing.T) {
	of := &shelf{}
	log := &auditor{}
	w := newWorld(t, func(o *Options) { o.Displays, o.Auditor = of, log })
	one := of.prepared(t, acme, "acute-one-item", "rx-1", nil)
	two := of.prepared(t, acme, "controlled-drug", "rx-2", nil)
	b := w.asks(one, two)
	if b.view.Display != "optional" {
		t.Errorf("the page is told %q", b.view.Display)
	}
	shown := displayed(t, b)
	prescriptions, _ := shown["prescriptions"].([]any)
	if shown["display"] != displayShown || len(prescriptions) != 2 || shown["patients"] != 1.0 || len(shown["code"].(string)) != 14 {
		t.Fatalf("shown: %v", shown)
	}
	text := fmt.Sprint(prescriptions[0])
	for _, part := range []string{"rx-1", "999 000", "heading", "digest"} {
		if !strings.Contains(text, part) {
			t.Errorf("the first has no %q:\n%s", part, text)
		}
	}
	if marks := fmt.Sprint(prescriptions[1].(map[string]any)["marks"]); !strings.Contains(marks, markInWords) {
		t.Errorf("marks of a controlled drug: %s", marks)
	}
	displayed(t, b)
	b.sign()
	b.settled()
	var outcomes []string
	for _, record := range log.records {
		outcomes = append(outcomes, record.Outcome+"/"+record.Display+"/"+fmt.Sprint(len(record.Items)))
		if namesPatient(fmt.Sprint(record)) {
			t.Errorf("the audit log has a patient: %v", record)
		}
	}
	if want := []string{"displayed//2", "signed/shown/2"}; !slices.Equal(outcomes, want) {
		t.Errorf("audited %v, want %v", outcomes, want)
	}
}

// If one payload has no display, none is shown: neither another client's, nor one that was never prepared.
func TestDisplayOfAllOrNone(t *testing.T) {
	of := &shelf{}
	w := newWorld(t, func(o *Options) { o.Displays = of })
	mine := of.prepared(t, acme, "acute-one-item", "rx-1", nil)
	theirs := of.prepared(t, "other", "controlled-drug", "rx-2", nil)
	shown := displayed(t, w.asks(mine, theirs))
	if shown["display"] != displayFallback || shown["missing"] != 1.0 || shown["prescriptions"] != nil {
		t.Errorf("shown: %v", shown)
	}
}

// A display is for the browser that holds the session, and until the session is over.
func TestDisplayIsOver(t *testing.T) {
	of := &shelf{}
	w := newWorld(t, func(o *Options) { o.Displays = of })
	one := of.prepared(t, acme, "acute-one-item", "rx-1", nil)
	b := w.asks(one)
	stranger := w.asks(of.prepared(t, acme, "controlled-drug", "rx-1", nil))
	mustRefuse(t, stranger.display(b.view.ID), refused{404, "not_found", "No signature request for specified token"})
	b.sign()
	b.settled()
	mustRefuse(t, b.display(b.view.ID), refused{409, "display_over", ""})
	for _, change := range []func(*Options){nil, func(o *Options) { o.Displays = &shelf{none: true} }} {
		off := newWorld(t, change)
		b, _ = off.opened(RS256, 1, "")
		mustRefuse(t, b.display(b.view.ID), refused{409, "display_off", ""})
		if b.view.Display != "" {
			t.Errorf("the page is told to ask: %q", b.view.Display)
		}
	}
}

// A service that requires displays signs nothing that it has not shown, unless it may fall back.
func TestDisplayRequired(t *testing.T) {
	for _, fallback := range []bool{false, true} {
		of := &shelf{}
		w := newWorld(t, func(o *Options) { o.Displays, o.DisplayRules = of, DisplayRules{Required: true, Fallback: fallback} })
		one := of.prepared(t, acme, "acute-one-item", "rx-1", nil)
		b := w.asks(one)
		if !fallback {
			mustRefuse(t, b.sign(), refused{409, "not_displayed", ""})
		}
		displayed(t, b)
		mustBe(t, b.sign(), http.StatusAccepted)
		b, _ = w.opened(RS256, 1, "")
		if shown := displayed(t, b); shown["display"] != displayFallback {
			t.Fatalf("shown: %v", shown)
		}
		if got := b.sign().Code; (got == http.StatusAccepted) != fallback {
			t.Errorf("fallback %v: signing without a display is answered %d", fallback, got)
		}
	}
}

// Where displays cannot be found, or the audit log does not take that there was one, nothing is shown.
func TestDisplayFails(t *testing.T) {
	of := &shelf{}
	log := &auditor{}
	w := newWorld(t, func(o *Options) { o.Displays, o.Auditor = of, log })
	b := w.asks(of.prepared(t, acme, "acute-one-item", "rx-1", nil))
	of.err = errors.New("away")
	mustRefuse(t, b.display(b.view.ID), refused{503, "unavailable", ""})
	of.err = nil
	log.fails(func(AuditRecord) error { return errors.New("the disk is full") })
	got := b.display(b.view.ID)
	mustRefuse(t, got, refused{503, "unavailable", ""})
	if namesPatient(got.Body.String()) {
		t.Errorf("got a refusal with a patient, want none: %s", got.Body)
	}
}

// namesPatient reports whether a text has the NHS number of the patient of acute-one-item.
func namesPatient(text string) bool {
	return strings.Contains(strings.ReplaceAll(text, " ", ""), "9990000018")
}

// Characters that cannot be seen become names, and marks are facts of the request.
func TestDisplayOfHostileTexts(t *testing.T) {
	of := &shelf{}
	w := newWorld(t, func(o *Options) { o.Displays = of })
	hostile := "take\u202e 2 \u200btablets</script>\n"
	one := of.prepared(t, acme, "acute-one-item", "rx-1", func(p *prescription.Prescription) { p.Items[0].Dosage = hostile })
	two := of.prepared(t, acme, "acute-one-item", "rx-2", func(p *prescription.Prescription) { p.Patient.NHSNumber = "9990000026" })
	three := of.prepared(t, acme, "acute-one-item", "rx-3", func(p *prescription.Prescription) { p.Patient.Names[0].Family = "Other" })
	shown := displayed(t, w.asks(one, two, three))
	var marks []string
	for _, p := range shown["prescriptions"].([]any) {
		marks = append(marks, fmt.Sprint(p.(map[string]any)["marks"]))
	}
	want := []string{"[hidden same_name same_number]", "[same_name]", "[same_number]"}
	if !slices.Equal(marks, want) {
		t.Errorf("marks %v, want %v", marks, want)
	}
	dose := shown["prescriptions"].([]any)[0].(map[string]any)["items"].([]any)[0].(map[string]any)["dose"]
	if got := fmt.Sprint(dose); got != "[take map[hidden:U+202E]  2  map[hidden:U+200B] tablets</script>\n]" {
		t.Errorf("the dose is %q", got)
	}
}
