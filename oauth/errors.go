package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/store"
)

// The error codes of the token service (TOK-2).
const (
	codeInvalidRequest = "invalid_request"
	codeGrantType      = "unsupported_grant_type"
	codePublicKey      = "public_key error"
	codeUnauthorized   = "unauthorized_client" //nolint:misspell // spelt so in the protocol
	codeRate           = "too_many_requests"   // the table leaves row 19 without words
	codeClient         = "invalid_client"
	codeGrant          = "invalid_grant"
	codeDenied         = "access_denied"
	codeNotImplemented = "not_implemented" // of a logout that was not
	codeUnknown        = "unknown_error"   // whatever the table does not foresee
)

// Error is an answer of the token service other than a token. An empty Code has an empty body.
type Error struct {
	Status      int
	Code        string        // the member error
	Description string        // the member error_description
	RetryAfter  time.Duration // sent as Retry-After when not zero
	bare        bool          // its body has no message_id
	detail      string        // for the log alone
	sent        bool          // it was sent already, such as by a redirect
}

func (e *Error) Error() string { return e.Code + ": " + e.Description }

// withDetail is the error with what only the operator should read.
func (e *Error) withDetail(detail string) *Error {
	with := *e
	with.detail = detail
	return &with
}

// tell makes an answer of a row.
func tell(e Error) error { return &e }

// unforeseen is an answer that the table does not have.
func unforeseen(status int, format string, args ...any) *Error {
	return &Error{Status: status, Code: codeUnknown, Description: fmt.Sprintf(format, args...)}
}

// asError is the one place where what went wrong becomes an answer.
func asError(err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	if errors.Is(err, share.ErrGivenUp) || errors.Is(err, share.ErrFull) {
		e := unforeseen(http.StatusServiceUnavailable, "More callers than there is room for are sending requests; try again after the time in Retry-After")
		e.RetryAfter = time.Second
		return e.withDetail(err.Error())
	}
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, errContended) || errors.Is(err, errAudit) || errors.Is(err, errSeal) {
		e := unforeseen(http.StatusServiceUnavailable, "The token service cannot keep a token at the moment; try again after the time in Retry-After")
		e.RetryAfter = 5 * time.Second
		return e.withDetail(err.Error())
	}
	return unforeseen(http.StatusInternalServerError, "Something went wrong in the token service; quote the message_id to its operator").
		withDetail(err.Error())
}

// failure is the body of every error.
type failure struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	MessageID   string `json:"message_id,omitempty"`
}

func writeError(w http.ResponseWriter, e *Error, messageID string) {
	if e.RetryAfter > 0 {
		seconds := (e.RetryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	if e.Code == "" {
		w.WriteHeader(e.Status)
		return
	}
	if e.bare {
		messageID = ""
	}
	writeJSON(w, e.Status, failure{e.Code, e.Description, messageID})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil { // only our own types come here; a failure is a defect
		http.Error(w, "cannot encode the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // a caller that has gone needs no answer
}
