package oauth

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Answer is what an Observer is told of each answer. Nothing in it is secret or personal.
type Answer struct {
	Time      time.Time
	Took      time.Duration
	Endpoint  string // its path; "none": there is none
	Grant     string // of a token request, where it names one that is known
	Client    string // where known
	Status    int    // of a refusal; zero: it was none
	Code      string // ok, or the member error of the answer
	Message   string // the member error_description
	Detail    string // what the operator alone may read
	MessageID string
}

// began notes that a request has come.
func (o *Options) began(*http.Request) *Answer {
	return &Answer{Time: o.Now(), Endpoint: "none", Code: "ok"}
}

// ended answers a request that failed, writes the line in the log, and tells the observer.
func (o *Options) ended(w http.ResponseWriter, r *http.Request, told *Answer, err error) {
	if err != nil {
		answer := asError(err)
		told.Status, told.Code, told.Message, told.Detail = answer.Status, answer.Code, answer.Description, answer.detail
		told.MessageID = o.messageID()
		o.logRefusal(r.Context(), told)
	}
	told.Took = o.Now().Sub(told.Time)
	if err != nil {
		o.refuse(w, r, asError(err), told.MessageID)
	}
	o.Observer(r.Context(), *told)
}

// refuse writes an answer that was not sent already, and later if its caller may be a stranger who is refused again and
// again. A client above its rate is known.
func (o *Options) refuse(w http.ResponseWriter, r *http.Request, answer *Error, messageID string) {
	if answer.sent {
		return
	}
	if o.Hold != nil && answer.Status < http.StatusInternalServerError && answer.Status != http.StatusTooManyRequests {
		o.Hold(w, r)
	}
	writeError(w, answer, messageID)
}

// messageID names one answer, in the log too.
func (o *Options) messageID() string {
	id, err := uuid.NewRandomFromReader(o.Rand)
	if err != nil {
		return uuid.NewString()
	}
	return id.String()
}

// logRefusal writes who was refused what and why, without anything secret: a caller's fault is news, ours is a
// warning or an error.
func (o *Options) logRefusal(ctx context.Context, told *Answer) {
	level := slog.LevelInfo
	switch {
	case told.Status == errUnknownSID.Status && told.Message == errUnknownSID.Description: // a session that nobody had here is news
	case told.Status == http.StatusInternalServerError:
		level = slog.LevelError
	case told.Status > http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	o.Logger.LogAttrs(context.WithoutCancel(ctx), level, "token request refused",
		slog.String("endpoint", told.Endpoint), slog.String("client", told.Client),
		slog.Int("status", told.Status), slog.String("error", told.Code), slog.String("description", told.Message),
		slog.String("detail", told.Detail), slog.String("message_id", told.MessageID))
}
