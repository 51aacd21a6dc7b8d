package caddymodule

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// Shape is how a resource words its refusals.
type Shape string

// The shapes.
const (
	ShapeJSON    Shape = "json"    // of a resource that has no shape of its own (TOK-4.3)
	ShapeFHIR    Shape = "fhir"    // an OperationOutcome (BAR-1.10)
	ShapeSigning Shape = "signing" // the Signing Service's (SIG-1.19)
)

func (s Shape) check() error {
	switch s {
	case "", ShapeJSON, ShapeFHIR, ShapeSigning:
		return nil
	}
	return fmt.Errorf("errors %q is not known; use json, fhir or signing", string(s))
}

// Reasons of a refusal besides those of a *oauth.BearerError.
const (
	reasonInsufficient oauth.BearerCode = "insufficient"
	reasonUnavailable  oauth.BearerCode = "unavailable"
)

// refusal is that a request is not let through.
type refusal struct {
	status  int
	reason  oauth.BearerCode
	message string
	detail  string // for the log alone
}

// level is that of the line in the log: what a caller lacks is news, what we lack is a warning.
func (f refusal) level() slog.Level {
	if f.status >= http.StatusInternalServerError {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// stranger says whether it may be a stranger who is refused: whoever shows an expired token was let in once.
func (f refusal) stranger() bool {
	return f.status == http.StatusUnauthorized && f.reason != oauth.BearerExpired
}

// challenge is the header WWW-Authenticate (RFC 6750 §3).
func (f refusal) challenge() string {
	switch f.reason {
	case oauth.BearerMissing:
		return `Bearer`
	case reasonInsufficient:
		return `Bearer error="insufficient_scope"`
	}
	return `Bearer error="invalid_token"`
}

// write answers in the shape.
func (s Shape) write(w http.ResponseWriter, r *http.Request, f refusal) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if f.status < http.StatusInternalServerError {
		h.Set("WWW-Authenticate", f.challenge())
	} else {
		h.Set("Retry-After", "5")
	}
	switch s {
	case ShapeFHIR:
		outcomeOf(f).Write(w, r)
	case ShapeSigning:
		writeJSON(w, f.status, "application/json", signingOf(f, r))
	default:
		writeJSON(w, f.status, "application/json", faultOf(f))
	}
}

func writeJSON(w http.ResponseWriter, status int, contentType string, body any) {
	data, err := json.Marshal(body)
	if err != nil { // only our own types come here; a failure is a defect
		http.Error(w, "cannot encode the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // a caller that has gone needs no answer
}

// fault is API Management's own shape.
type fault struct {
	Fault struct {
		String string `json:"faultstring"`
		Detail struct {
			Code string `json:"errorcode"`
		} `json:"detail"`
	} `json:"fault"`
}

func faultOf(f refusal) fault {
	words := map[oauth.BearerCode][2]string{
		oauth.BearerMissing: {"Invalid access token", "oauth.v2.InvalidAccessToken"},
		oauth.BearerUnknown: {"Invalid Access Token", "keymanagement.service.invalid_access_token"},
		oauth.BearerExpired: {"Access Token expired", "keymanagement.service.access_token_expired"},
		reasonInsufficient:  {"Insufficient scope", "oauth.v2.InsufficientScope"},
		reasonUnavailable:   {"The Service is temporarily unavailable", "messaging.adaptors.http.flow.ServiceUnavailable"},
	}[f.reason]
	var body fault
	body.Fault.String, body.Fault.Detail.Code = words[0], words[1]
	return body
}

// OutcomeOf is what a Door returned, as an OperationOutcome (BAR-1.11 to BAR-1.13).
func OutcomeOf(err error) *bars.Outcome { return outcomeOf(asRefusal(err)) }

// outcomeOf is a refusal as an OperationOutcome.
func outcomeOf(f refusal) *bars.Outcome {
	switch f.reason {
	case oauth.BearerMissing:
		return bars.NoToken.With("%s", f.detail)
	case reasonInsufficient:
		return bars.NotEnabled.Saying("%s", f.message).With("%s", f.detail)
	case reasonUnavailable:
		return &bars.Outcome{Status: f.status, Issue: "transient", Code: "PROXY_SERVER_ERROR", Text: f.message, Fault: bars.FaultProxy, Detail: f.detail}
	}
	return bars.BadToken.Saying("%s", f.message).With("%s", f.detail)
}

// signingError is the Signing Service's shape.
type signingError struct {
	StatusCode int    `json:"statusCode"`
	Error      string `json:"error"`
	Message    string `json:"message"`
	Code       string `json:"code"`
	RequestID  string `json:"requestId"`
}

func signingOf(f refusal, r *http.Request) signingError {
	id, code := r.Header.Get("X-Request-Id"), "access_token"
	if id == "" || len(id) > 128 {
		id = uuid.NewString()
	}
	if f.reason == reasonUnavailable {
		code = "unavailable"
	}
	return signingError{f.status, http.StatusText(f.status), f.message, code, id}
}
