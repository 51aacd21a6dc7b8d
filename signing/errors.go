package signing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/store"
)

// Error is an answer other than success. Code is a stable machine word; Message tells the caller what to do
// (SIG-1.19).
type Error struct {
	Status     int
	Code       string
	Message    string
	RetryAfter time.Duration // sent as Retry-After when not zero
	Hint       string        // what else the caller can do, where the message is the real service's
	Reason     *Reason       // what became of a session that ended without signatures
	SignIn     string        // where the person signs in
	wanted     *wantedSignIn // as whom, where somebody else has signed in before
	to         string        // where the browser goes instead of being told
	back       string        // where a person goes on
	finding    Finding       // for the operator alone
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// withDetail adds what only the operator should read.
func (e *Error) withDetail(format string, args ...any) *Error {
	e.finding.Detail = fmt.Sprintf(format, args...)
	return e
}

func failure(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func badRequest(code, format string, args ...any) *Error {
	return failure(http.StatusBadRequest, code, format, args...)
}

// unavailable is the answer while the service cannot keep what it would have to acknowledge.
func unavailable(detail string) *Error {
	e := failure(http.StatusServiceUnavailable, "unavailable",
		"The service cannot take this request at the moment; send it again, unchanged, after the time in Retry-After")
	e.RetryAfter = 5 * time.Second
	e.finding.Detail = detail
	return e
}

// asError is the one place where what went wrong becomes an answer.
func asError(err error) *Error {
	var known *Error
	var conflict *store.Conflict
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, store.ErrUnavailable), errors.As(err, &conflict),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded): // a caller that has gone reads no answer
		return unavailable(err.Error())
	default:
		return failure(http.StatusInternalServerError, "internal",
			"Something went wrong in the service; quote the request id to its operator").withDetail("%s", err.Error())
	}
}

// leadsBack adds where a person goes on after an error.
func leadsBack(err error, address string) error {
	e := asError(err)
	e.back = address
	return e
}

// strange says whether strangers may be answered so. Who asks too early for signatures, or at a page that is over, or has
// signed in as somebody, is none; and what the service cannot do is nobody's fault.
func (e *Error) strange() bool {
	switch e.Code {
	case "not_opened", "not_signed", "failed", "cancelled", "expired", "opened_elsewhere", "sign_in", "too_many",
		reasonWrongUser, reasonLevel, reasonSignInDenied, reasonSignInFailed:
		return false
	}
	return e.Status < http.StatusInternalServerError
}

// errorBody is the shape of every error answer. The first three members are the real service's.
type errorBody struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	Code       string `json:"code"`
	RequestID  string `json:"requestId"`
	Hint       string `json:"hint,omitempty"`
	SignIn     string `json:"signInUri,omitempty"`

	Wanted *wantedSignIn         `json:"signIn,omitempty"`
	Reason *client.WebhookReason `json:"reason,omitempty"`
}

func writeError(w http.ResponseWriter, e *Error) {
	if e.to != "" {
		w.Header().Set("Location", e.to)
		w.WriteHeader(e.Status)
		return
	}
	body := errorBody{
		StatusCode: e.Status, Error: http.StatusText(e.Status), Message: e.Message, Code: e.Code,
		RequestID: w.Header().Get(headerRequestID), Hint: e.Hint, SignIn: e.SignIn, Wanted: e.wanted,
	}
	if e.Reason != nil {
		body.Reason = &client.WebhookReason{Code: e.Reason.Code, Text: e.Reason.Text, IDs: e.Reason.declined}
	}
	setErrorHeaders(w, e)
	writeJSON(w, e.Status, body)
}

func setErrorHeaders(w http.ResponseWriter, e *Error) {
	if e.Status == http.StatusUnauthorized && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", `Bearer realm="signing-service"`)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((e.RetryAfter+time.Second-1)/time.Second)))
	}
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
