package client

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
)

// ErrUnreachable is wrapped by every error about a missing answer: no connection, or one that was lost halfway. The
// service may or may not have accepted the request. The same JWT may be sent again, because it never makes a second session
// (SIG-1.15).
var ErrUnreachable = errors.New("the Signing Service did not answer")

// maxRetryAfter bounds how long an answer can make a caller wait.
const maxRetryAfter = time.Hour

// Error is a refusal by the service.
type Error struct {
	Status    int    // the HTTP status
	Code      string // the service's stable code, such as "claims"; empty if it gave none
	Message   string // its text, cut at 500 bytes; the text of the status if it gave none
	RequestID string // to be quoted to the service's operators

	RetryAfter time.Duration // of a 429 or 503: how long to wait before retrying; zero if it gave none
	Reason     string        // why a request is not signed, or not yet: a code such as ReasonWrongUser; empty if there is none
	Declined   []string      // of ReasonDeclined: the ids of the items that the person found something wrong with
}

func (e *Error) Error() string {
	code := ""
	if e.Code != "" {
		code = ", " + e.Code
	}
	if e.Reason != "" && e.Reason != e.Code {
		code += ", " + e.Reason
	}
	return fmt.Sprintf("the Signing Service answered %d%s: %s (request %s)", e.Status, code, e.Message, e.RequestID)
}

// failure decodes an answer in the format of SIG-1.19, or falls back to the status.
func (r reply) failure() *Error {
	var answer struct {
		Message   string `json:"message"`
		Code      string `json:"code"`
		RequestID string `json:"requestId"`
		Reason    struct {
			Code string   `json:"code"`
			IDs  []string `json:"ids"`
		} `json:"reason"`
	}
	if json.Unmarshal(r.body, &answer) != nil || answer.Message == "" {
		answer.Message = http.StatusText(r.status)
	}
	return &Error{
		Status:    r.status,
		Code:      cut(answer.Code, 64),
		Message:   cut(answer.Message, 500),
		RequestID: cut(cmp.Or(answer.RequestID, r.requestID), 128),

		RetryAfter: min(r.retryAfter, maxRetryAfter),
		Reason:     cut(answer.Reason.Code, 64),
		Declined:   answer.Reason.IDs,
	}
}

// unreachable removes the URL of the request, which contains a token or a state.
func unreachable(err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// cut shortens a text of the service to at most n bytes and removes control characters.
func cut(s string, n int) string {
	clean := make([]rune, 0, min(len(s), n))
	size := 0
	for _, r := range s {
		if r < ' ' || r == 0x7f {
			r = ' '
		}
		if size += len(string(r)); size > n {
			break
		}
		clean = append(clean, r)
	}
	return string(clean)
}
