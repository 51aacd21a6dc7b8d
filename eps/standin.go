package eps

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path"
	"time"

	"github.com/seed-dd2befc3/countersign/eps/openapi"
	"github.com/seed-dd2befc3/countersign/prescription"
)

// StandInOptions are what a StandIn needs. Judge and Acceptances are mandatory.
type StandInOptions struct {
	// Algorithm is what prescriptions of a client are signed with: client.RS1 or client.RS256.
	Algorithm func(client string) string
	// Judge says whose cards count.
	Judge prescription.Judge
	// Acceptances keeps what was accepted.
	Acceptances Acceptances

	Now    func() time.Time
	Logger *slog.Logger
}

// Acceptance is a signed prescription that was accepted. It says nothing of the patient.
type Acceptance struct {
	Accepted     time.Time `json:"accepted"`
	Prescription string    `json:"prescription"` // its id
	Type         string    `json:"type,omitempty"`
	Items        int       `json:"items"`
	Signed       time.Time `json:"signed"`
}

// Acceptances keeps acceptances for a while, and lists those of a client, the newest first.
type Acceptances interface {
	Add(ctx context.Context, client string, accepted Acceptance) error
	List(ctx context.Context, client string) ([]Acceptance, error)
}

// Caller is who makes a request.
type Caller struct {
	Client string
	Access prescription.Access
}

// StandIn answers in the place of EPS, for tests: it prepares prescriptions, and accepts signed ones, in EPS's words. It
// sends them nowhere.
type StandIn struct{ StandInOptions }

// NewStandIn makes a StandIn.
func NewStandIn(options StandInOptions) (*StandIn, error) {
	if options.Judge == nil || options.Acceptances == nil || options.Algorithm == nil {
		return nil, errors.New("a stand-in for EPS needs algorithms, a judge of certificates and a place for acceptances")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	return &StandIn{options}, nil
}

// Serve answers a request.
func (s *StandIn) Serve(w http.ResponseWriter, r *http.Request, caller Caller) {
	switch operation := path.Base(r.URL.Path); operation {
	case prepareOperation, processOperation:
		if !takes(w, r, http.MethodPost) {
			return
		}
		bundle, ok := readBundle(w, r)
		switch {
		case !ok:
		case operation == prepareOperation:
			s.prepare(w, bundle, caller)
		default:
			s.process(w, r, bundle, caller)
		}
	case "accepted":
		if takes(w, r, http.MethodGet) {
			s.list(w, r, caller)
		}
	case "openapi.json":
		if takes(w, r, http.MethodGet, http.MethodHead) {
			openapi.Serve(w, r)
		}
	default:
		refuse(w, http.StatusNotFound, "not-found", "The stand-in answers $prepare, $process-message, accepted and openapi.json.")
	}
}

// takes refuses other methods than these.
func takes(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, method := range methods {
		if r.Method == method {
			return true
		}
	}
	for _, method := range methods {
		w.Header().Add("Allow", method)
	}
	refuse(w, http.StatusMethodNotAllowed, "not-supported", "This operation takes %s.", methods[0])
	return false
}

// readBundle reads a request's body, or answers why it cannot.
func readBundle(w http.ResponseWriter, r *http.Request) (*prescription.Bundle, bool) {
	if !isJSON(r.Header.Get("Content-Type")) || r.Header.Get("Content-Encoding") != "" {
		refuse(w, http.StatusUnsupportedMediaType, "not-supported", "The request must be %s, not encoded otherwise.", contentType)
		return nil, false
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, prescription.MaxBytes))
	if err != nil {
		refuseBody(w, err)
		return nil, false
	}
	bundle, err := prescription.ReadBundle(data)
	if err != nil {
		outcome := prescription.Outcome{Issues: []prescription.Issue{prescription.Unreadable(err)}}
		write(w, outcome.Status(), outcome)
		return nil, false
	}
	return bundle, true
}

// prepare answers $prepare (EPS-1).
func (s *StandIn) prepare(w http.ResponseWriter, bundle *prescription.Bundle, caller Caller) {
	made, outcome := prescription.Prepare(bundle, caller.Access, s.Algorithm(caller.Client), s.Now())
	if outcome != nil {
		write(w, outcome.Status(), outcome)
		return
	}
	write(w, http.StatusOK, made)
}

// process answers $process-message with a signed prescription (EPS-4).
func (s *StandIn) process(w http.ResponseWriter, r *http.Request, bundle *prescription.Bundle, caller Caller) {
	issues := bundle.Check(caller.Access)
	if len(issues) == 0 {
		issues = prescription.Verify(r.Context(), bundle, s.Judge)
	}
	if len(issues) > 0 {
		outcome := prescription.Outcome{Issues: issues}
		write(w, outcome.Status(), outcome)
		return
	}
	signed, refusal := prescription.Translate(bundle, time.Time{})
	if refusal != nil { // Verify has translated it already
		outcome := prescription.Outcome{Issues: []prescription.Issue{refusal.Issue()}}
		write(w, outcome.Status(), outcome)
		return
	}
	accepted := Acceptance{
		Accepted: s.Now().UTC(), Prescription: signed.ID, Type: bundle.PrescriptionType(), Items: len(signed.Items), Signed: signed.Signed,
	}
	if err := s.Acceptances.Add(r.Context(), caller.Client, accepted); err != nil {
		s.unavailable(w, r, err)
		return
	}
	write(w, http.StatusOK, prescription.Outcome{Issues: []prescription.Issue{{
		Severity: "information", Code: "informational",
		Diagnostics: "The signature holds. This is a stand-in for EPS: the prescription is kept as accepted, and was sent nowhere.",
	}}})
}

// list answers with what was accepted of a client.
func (s *StandIn) list(w http.ResponseWriter, r *http.Request, caller Caller) {
	accepted, err := s.Acceptances.List(r.Context(), caller.Client)
	if err != nil {
		s.unavailable(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write(w, http.StatusOK, struct {
		Accepted []Acceptance `json:"accepted"`
	}{append([]Acceptance{}, accepted...)})
}

func (s *StandIn) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	s.Logger.LogAttrs(r.Context(), slog.LevelWarn, "the list of accepted prescriptions is not available", slog.String("error", err.Error()))
	w.Header().Set("Retry-After", "5")
	refuse(w, http.StatusServiceUnavailable, "transient", "The stand-in cannot keep or list prescriptions at the moment.")
}
