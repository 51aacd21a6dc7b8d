package eps

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
	"github.com/seed-dd2befc3/countersign/prescription"
)

// standIn is a stand-in that trusts every card, and holds each answer to the description.
type standIn struct {
	*StandIn
	faults []certificates.Code
}

func newStandIn(t *testing.T) *standIn {
	s := &standIn{}
	var err error
	s.StandIn, err = NewStandIn(StandInOptions{
		Algorithm:   func(string) string { return client.RS256 },
		Judge:       func(context.Context, *x509.Certificate, time.Time) []certificates.Code { return s.faults },
		Acceptances: &Memory{}, Now: func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *standIn) call(t *testing.T, method, path, mediaType string, body []byte, access prescription.Access) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, "https://eps.example/FHIR/R4"+path, bytes.NewReader(body))
	if mediaType != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	got := httptest.NewRecorder()
	s.Serve(got, r, Caller{Client: "a", Access: access})
	document, err := descriptiontest.Load("openapi/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if document.Has(r, path) {
		answer := descriptiontest.Answer{Status: got.Code, Header: got.Header(), Body: got.Body.Bytes()}
		if err := document.Judge(r, path, answer); err != nil {
			t.Errorf("%s %s: the answer is not as it is described: %v", method, path, err)
		}
	}
	return got
}

// $prepare answers as EPS does for each of the recorded cases: the digest or the issues.
func TestStandInPrepares(t *testing.T) {
	data, err := os.ReadFile("../prescription/testdata/eps/expected.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	s := newStandIn(t)
	for line := range bytes.Lines(data) {
		var c struct{ Name, Time, RS256, Error string }
		if err := json.Unmarshal(line, &c); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse("20060102150405", c.Time)
		if err != nil {
			t.Fatal(err)
		}
		s.Now = func() time.Time { return at }
		got := s.call(t, http.MethodPost, "/$prepare", "application/fhir+json", bundle(t, c.Name), prescription.MayPrescribe)
		if got.Code == http.StatusOK && !strings.Contains(got.Body.String(), c.RS256) {
			t.Errorf("%s: another digest than %s", c.Name, c.RS256)
		}
		if got.Code != http.StatusOK && got.Code != http.StatusBadRequest {
			t.Errorf("%s: status %d", c.Name, got.Code)
		}
		if c.Error != "" && got.Code == http.StatusOK {
			t.Errorf("%s: it is prepared, want %s", c.Name, c.Error)
		}
	}
}

// Refusals have their status, and a code of FHIR's.
func TestStandInRefuses(t *testing.T) {
	s := newStandIn(t)
	good := bundle(t, "acute-one-item")
	for _, c := range []struct {
		name, method, path, mediaType string
		body                          []byte
		access                        prescription.Access
		status                        int
		code                          string
	}{
		{"an application", "POST", "/$prepare", "application/fhir+json", good, prescription.DeniedToApps, 403, "forbidden"},
		{"no scope", "POST", "/$process-message", "application/json", good, prescription.Denied, 403, "forbidden"},
		{"not JSON", "POST", "/$prepare", "application/fhir+xml", good, prescription.MayPrescribe, 415, "not-supported"},
		{"a method", "GET", "/$prepare", "", nil, prescription.MayPrescribe, 405, "not-supported"},
		{"a method of the list", "POST", "/accepted", "", nil, prescription.MayPrescribe, 405, "not-supported"},
		{"a path", "GET", "/Task", "", nil, prescription.MayPrescribe, 404, "not-found"},
		{"broken JSON", "POST", "/$prepare", "", []byte(`{"a":1`), prescription.MayPrescribe, 400, "structure"},
		{"a name twice", "POST", "/$prepare", "", []byte(`{"resourceType":"Bundle","resourceType":"Bundle"}`), prescription.MayPrescribe, 400, "structure"},
		{"no bundle", "POST", "/$prepare", "", []byte(`{"resourceType":"Patient"}`), prescription.MayPrescribe, 400, "value"},
		{"too large", "POST", "/$prepare", "", bytes.Repeat([]byte(" "), prescription.MaxBytes+1), prescription.MayPrescribe, 413, "too-long"},
		{"not signed", "POST", "/$process-message", "", good, prescription.MayPrescribe, 400, "invalid"},
	} {
		got := s.call(t, c.method, c.path, c.mediaType, c.body, c.access)
		var outcome struct {
			ResourceType string
			Issue        []struct{ Code string }
		}
		if err := json.Unmarshal(got.Body.Bytes(), &outcome); err != nil {
			t.Fatalf("%s: %v\n%s", c.name, err, got.Body)
		}
		if got.Code != c.status || outcome.ResourceType != "OperationOutcome" || len(outcome.Issue) == 0 || outcome.Issue[0].Code != c.code {
			t.Errorf("%s: status %d and %+v, want %d and %s", c.name, got.Code, outcome, c.status, c.code)
		}
		if got.Header().Get("Content-Type") != "application/fhir+json" {
			t.Errorf("%s: media type %s", c.name, got.Header().Get("Content-Type"))
		}
	}
	if got := s.call(t, "GET", "/accepted", "", nil, prescription.MayPrescribe).Body.String(); got != `{"accepted":[]}` {
		t.Errorf("accepted: %s", got)
	}
}

// What is accepted is listed for its client alone, the newest first, and a thousand at most.
func TestAcceptances(t *testing.T) {
	var m Memory
	for n := range maxAcceptances + 5 {
		if err := m.Add(t.Context(), "a", Acceptance{Items: n}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := m.List(t.Context(), "a")
	if err != nil || len(all) != maxAcceptances || all[0].Items != maxAcceptances+4 || all[maxAcceptances-1].Items != 5 {
		t.Errorf("%d, the first %+v, %v", len(all), all[0], err)
	}
	if others, _ := m.List(t.Context(), "b"); len(others) != 0 {
		t.Errorf("another client sees %d", len(others))
	}
}
