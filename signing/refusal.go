package signing

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
)

// Finding is what the operator can be told of a refusal beside what its caller is told. Nothing in it is secret or
// personal.
type Finding struct {
	Client   string // whose request it was; empty: not known
	Check    string // what refused: a claim, a header or the like; by default the code
	Expected string // by that check
	Got      string // by that check
	Detail   string // whatever else there is to know
}

// because says which check refused, what it expected and what it got. A caller's own text goes through quoted.
func (e *Error) because(check, expected, got string) *Error {
	e.finding.Check, e.finding.Expected, e.finding.Got = check, expected, got
	return e
}

// ofClient says whose request failed. The error may be shared, so it gets a copy.
func ofClient(err error, client string) error {
	if err == nil {
		return nil
	}
	e := *asError(err)
	e.finding.Client = client
	return &e
}

// quoted is a text of a caller's as an operator may read it: short, and without a user id, which can be in it by
// mistake.
func quoted(text string) string {
	const most = 100
	if text == "" {
		return "nothing"
	}
	if len(text) > most {
		text = text[:most] + "…"
	}
	return withoutUserIDs(strings.ToValidUTF8(text, "\ufffd"))
}

// withoutUserIDs takes out digits of which there are as many in a row as in a user id, or more.
func withoutUserIDs(text string) string {
	var out strings.Builder
	for text != "" {
		digits := len(text) - len(strings.TrimLeft(text, "0123456789"))
		if digits >= 12 {
			out.WriteString("<digits>")
		} else {
			digits = max(digits, 1) // or one byte that is no digit
			out.WriteString(text[:digits])
		}
		text = text[digits:]
	}
	return out.String()
}

// logRefusal writes who was refused what and why: the caller's fault is news, ours is a warning or an error.
func logRefusal(ctx context.Context, logger *slog.Logger, refused Answer) {
	level := slog.LevelInfo
	switch {
	case refused.Status == http.StatusInternalServerError:
		level = slog.LevelError
	case refused.Status > http.StatusInternalServerError:
		level = slog.LevelWarn
	}
	logger.LogAttrs(ctx, level, "request refused",
		slog.String("endpoint", refused.Endpoint),
		slog.String("client", refused.Client),
		slog.String("code", refused.Code),
		slog.Int("status", refused.Status),
		slog.String("check", refused.Check),
		slog.String("expected", refused.Expected),
		slog.String("got", refused.Got),
		slog.String("answer", refused.Message),
		slog.String("detail", refused.Detail),
		slog.String("request_id", refused.RequestID),
		slog.String("correlation_id", refused.CorrelationID),
	)
}
