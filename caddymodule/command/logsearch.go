package command

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	caddybars "github.com/seed-dd2befc3/countersign/caddymodule/bars"
)

// maxLine bounds a line of a log; what is longer is passed over.
const maxLine = 1 << 20

// logLine is a line of Caddy's log that may be about a request that was refused, by whichever service.
type logLine struct {
	Message     string          `json:"msg"`
	Time        json.RawMessage `json:"ts"`
	RequestID   string          `json:"request_id"`
	Correlation string          `json:"correlation_id"`
	Endpoint    string          `json:"endpoint"`
	Client      string          `json:"client"`
	Status      int             `json:"status"`
	Code        string          `json:"code"`
	Check       string          `json:"check"`
	Expected    string          `json:"expected"`
	Got         string          `json:"got"`
	Answer      string          `json:"answer"`
	Detail      string          `json:"detail"`
	Target      string          `json:"target"`
	Fault       string          `json:"fault"`
	Session     string          `json:"session"` // of a request that was accepted, and of a run
	Agent       string          `json:"agent"`   // of a run, with its outcome
	Outcome     string          `json:"outcome"`

	// of the token service, and of the check of access tokens
	MessageID   string `json:"message_id"`
	Error       string `json:"error"`
	Description string `json:"description"`
}

// findInLog returns the refusals of a request in the order of the log and, if it was accepted, its session. Lines
// that are not JSON are passed over.
func findInLog(log io.Reader, id string) (found []adminapi.Refusal, accepted string, err error) {
	quoted, err := json.Marshal(id)
	if err != nil {
		return nil, "", err
	}
	quoted = quoted[:len(quoted)-1] // the page shows the first characters of a session's id
	reader := bufio.NewReaderSize(log, maxLine)
	for {
		line, err := reader.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = reader.ReadSlice('\n')
			}
			line = nil
		case err != nil && !errors.Is(err, io.EOF):
			return nil, "", err
		}
		var read logLine
		if bytes.Contains(line, quoted) && json.Unmarshal(line, &read) == nil && (read.names(id) || read.failedRunOf(id)) {
			switch read.Message {
			case runEnded:
				found = append(found, read.reportRun())
			case "request refused", "token request refused", "access token refused", caddybars.FailedMessage:
				found = append(found, read.report())
			case "signing request accepted":
				accepted = read.Session
			}
		}
		if err != nil {
			return found, accepted, nil
		}
	}
}

func (l logLine) names(id string) bool {
	return id != "" && (l.RequestID == id || l.Correlation == id || l.MessageID == id)
}

const (
	runEnded     = "signing run ended"
	minReference = 12 // characters of a session's id, which the page shows
)

// failedRunOf reports whether the line is about a run of a session, named by its id or the beginning of it, that did not
// sign.
func (l logLine) failedRunOf(id string) bool {
	return l.Message == runEnded && len(id) >= minReference && strings.HasPrefix(l.Session, id) && l.Outcome != "signed"
}

func (l logLine) reportRun() adminapi.Refusal {
	return adminapi.Refusal{
		Time: l.time(), RequestID: l.Session, Endpoint: "run of agent " + l.Agent, Client: l.Client, Code: l.Outcome, Check: l.Outcome, Detail: l.Detail,
	}
}

func (l logLine) report() adminapi.Refusal {
	report := adminapi.Refusal{
		Time: l.time(), RequestID: l.RequestID, CorrelationID: l.Correlation, Endpoint: l.Endpoint, Client: l.Client, Target: l.Target, Fault: l.Fault,
		Status: l.Status, Code: l.Code, Check: l.Check, Expected: l.Expected, Got: l.Got, Answer: l.Answer, Detail: l.Detail,
	}
	if l.MessageID != "" {
		report.RequestID = l.MessageID
	}
	if report.Code == "" {
		report.Code, report.Answer = l.Error, l.Description
	}
	return report
}

// time reads Caddy's ts: seconds since 1970 by default, or else RFC 3339 if that was configured.
func (l logLine) time() time.Time {
	var seconds float64
	if json.Unmarshal(l.Time, &seconds) == nil {
		whole, rest := math.Modf(seconds)
		return time.Unix(int64(whole), int64(rest*1e9)).UTC()
	}
	var text string
	if json.Unmarshal(l.Time, &text) == nil {
		if parsed, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return parsed.UTC()
		}
	}
	return time.Time{}
}
