package credential

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

const (
	hubName    = "signinghub"
	hubMethod  = "requestToSign"
	maxForm    = 2 * smartcard.MaxBody // a job in base64, percent-encoded where necessary
	readWithin = 30 * time.Second
)

// invocation is a call of a hub method.
type invocation struct {
	Hub       string   `json:"H"`
	Method    string   `json:"M"`
	Arguments []string `json:"A"`
	ID        int      `json:"I"`
}

// asked is the argument of requestToSign, in base64.
type asked struct {
	Algorithm   string              `json:"algorithm"`
	RequestType int                 `json:"requestType"`
	Version     int                 `json:"version"`
	Flags       int                 `json:"flags"`
	Payloads    []smartcard.Payload `json:"payloads"`
}

// outcome is the result of requestToSign.
type outcome struct {
	Certificate string      `json:"certificate"`
	StatusCode  any         `json:"status_code"` // 0, or a code
	Status      string      `json:"status_string"`
	Message     string      `json:"message"`
	Timestamp   time.Time   `json:"timestamp"`
	Signatures  []signature `json:"signatures"`
	Failed      []string    `json:"failed_signatures"` // ids
}

type signature struct {
	ID        string `json:"id"`
	Signature []byte `json:"signature"`
}

// Codes of Credential Management that pages know.
const (
	codeNoCard  = "0x53494705"
	codeBadJSON = "0x53494703"
)

// send performs a signing request. Its answer holds the outcome, good or bad; only a request that is not a call of
// the hub gets an HTTP error.
func (s *Server) send(w http.ResponseWriter, r *http.Request) {
	c := s.connection(w, r)
	if c == nil {
		return
	}
	call, err := readInvocation(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.Timeout)
	defer cancel()
	stop := context.AfterFunc(c.ctx, cancel) //nolint:contextcheck // //nolint:contextcheck // the end of the connection ends the request too
	defer stop()
	began := s.Now()
	result := s.sign(ctx, call.Arguments[0])
	result.Timestamp = s.Now().UTC()
	s.Logger.InfoContext(r.Context(), "credential management request done", "origin", c.origin, "signed", len(result.Signatures),
		"status", result.StatusCode, "took", s.Now().Sub(began))
	answer(w, struct {
		R outcome
		I int
	}{result, call.ID})
}

func readInvocation(w http.ResponseWriter, r *http.Request) (invocation, error) {
	// A server that cannot set a deadline has its own.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(readWithin))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		return invocation{}, errors.New("the request is incomplete or too large")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return invocation{}, errors.New("the request is not a form")
	}
	var call invocation
	err = json.Unmarshal([]byte(form.Get("data")), &call)
	if err != nil || call.Hub != hubName || call.Method != hubMethod || len(call.Arguments) != 1 {
		return invocation{}, errors.New("data must be a call of signinghub.requestToSign with one argument")
	}
	return call, nil
}

// sign signs a page's request with the card.
func (s *Server) sign(ctx context.Context, argument string) outcome {
	job, err := readAsked(argument)
	if err == nil {
		if job.Sub, err = s.holder(ctx); err == nil {
			return s.run(ctx, job)
		}
	}
	return failed(job, err)
}

func (s *Server) run(ctx context.Context, job smartcard.Job) outcome {
	result, err := smartcard.Run(ctx, s.Signer, job)
	if err != nil {
		return failed(job, err)
	}
	done := outcome{
		Certificate: base64.StdEncoding.EncodeToString(result.Certificate), StatusCode: 0, Status: "Success",
		Signatures: make([]signature, len(job.Payloads)), Failed: []string{},
	}
	for i, p := range job.Payloads {
		done.Signatures[i] = signature{ID: p.ID, Signature: result.Signatures[i]}
	}
	return done
}

// errBadJSON is the error for a malformed signing request.
var errBadJSON = errors.New("the request must be base64 of JSON with algorithm and payloads")

func readAsked(argument string) (smartcard.Job, error) {
	text, err := base64.StdEncoding.DecodeString(argument)
	if err != nil {
		return smartcard.Job{}, errBadJSON
	}
	var a asked
	if err := json.Unmarshal(text, &a); err != nil || len(a.Payloads) == 0 {
		return smartcard.Job{}, errBadJSON
	}
	return smartcard.Job{Job: uuid.NewString(), Algorithm: a.Algorithm, Payloads: a.Payloads}, nil
}

// failed returns the outcome when nothing was signed, in the codes pages know where one exists.
func failed(job smartcard.Job, err error) outcome {
	o := outcome{StatusCode: smartcard.CodeUnreachable, Status: "Failed", Signatures: []signature{}, Failed: []string{}}
	for _, p := range job.Payloads {
		o.Failed = append(o.Failed, p.ID)
	}
	var known *smartcard.Error
	switch {
	case errors.Is(err, errBadJSON):
		o.StatusCode, o.Message = codeBadJSON, err.Error()
	case errors.As(err, &known) && known.Code == smartcard.CodeNoCard:
		o.StatusCode, o.Message = codeNoCard, "No smartcard in the reader"
	case errors.As(err, &known):
		o.StatusCode, o.Message = known.Code, known.Message
	case errors.Is(err, context.DeadlineExceeded):
		o.StatusCode, o.Message = smartcard.CodeTimeout, "The card took too long"
	case errors.Is(err, context.Canceled):
		o.StatusCode, o.Message = smartcard.CodeCancelled, "The page went away"
	}
	return o
}
