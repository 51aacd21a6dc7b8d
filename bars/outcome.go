package bars

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// Fault says who has to fix a failure.
type Fault string

// The faults.
const (
	FaultSender   Fault = "sender"
	FaultProxy    Fault = "proxy"
	FaultReceiver Fault = "receiver"
	FaultNetwork  Fault = "network"
)

// Outcome is why a request failed. The sender gets it as a FHIR OperationOutcome with one issue (BAR-1.10, BAR-5.1).
type Outcome struct {
	Status int    // of the answer
	Issue  string // issue[0].code: FHIR's issue type
	Code   string // issue[0].details.coding[0].code: the BaRS code, such as REC_TIMEOUT
	Text   string // the beginning of issue[0].diagnostics, to the letter where the standard has a text
	More   string // what else the sender is told: what happened and what to do

	ID     string // of the resource; empty: a fresh one for each answer
	Fault  Fault  // whose fault it is
	Detail string // what exactly was found, for the log only; nothing secret or personal
}

// Error returns the text and the detail.
func (o *Outcome) Error() string {
	if o.Detail == "" {
		return o.Code + ": " + o.Diagnostics()
	}
	return o.Code + ": " + o.Diagnostics() + " (" + o.Detail + ")"
}

// Diagnostics returns what people are told: the standard's words, then ours (BAR-5.2).
func (o *Outcome) Diagnostics() string {
	if o.More == "" {
		return o.Text
	}
	return o.Text + " " + o.More
}

// Named returns the outcome with an id, fresh unless it has one, so that the answer and the log name the same resource
// (BAR-5.1).
func (o *Outcome) Named() *Outcome {
	if o.ID != "" {
		return o
	}
	named := *o
	named.ID = uuid.NewString()
	return &named
}

// Saying returns a copy of the outcome that tells the sender more.
func (o *Outcome) Saying(format string, args ...any) *Outcome {
	told := *o
	told.More = fmt.Sprintf(format, args...)
	return &told
}

// With returns a copy of the outcome with a detail for the log.
func (o *Outcome) With(format string, args ...any) *Outcome {
	detailed := *o
	detailed.Detail = fmt.Sprintf(format, args...)
	return &detailed
}

// OutcomeOf returns the Outcome in err's chain, or nil.
func OutcomeOf(err error) *Outcome {
	outcome, _ := errors.AsType[*Outcome](err)
	return outcome
}

// ContentType is the content type of every answer of our own.
const ContentType = "application/fhir+json"

// resource is an Outcome in FHIR's JSON.
type resource struct {
	ResourceType string  `json:"resourceType"`
	ID           string  `json:"id"`
	Meta         meta    `json:"meta"`
	Issue        []issue `json:"issue"`
}

type meta struct {
	Profile []string `json:"profile"`
}

type issue struct {
	Severity    string  `json:"severity"`
	Code        string  `json:"code"`
	Details     details `json:"details"`
	Diagnostics string  `json:"diagnostics"`
}

type details struct {
	Coding []coding `json:"coding"`
}

type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

// Body returns the OperationOutcome in JSON.
func (o *Outcome) Body() []byte {
	o = o.Named()
	profile, system := form(o.Code)
	body, err := json.Marshal(resource{ResourceType: "OperationOutcome", ID: o.ID, Meta: meta{[]string{profile}}, Issue: []issue{{
		Severity: "error", Code: o.Issue, Details: details{[]coding{{system, o.Code}}}, Diagnostics: strings.ToValidUTF8(o.Diagnostics(), "\uFFFD"),
	}}})
	if err != nil { // only our own texts come here
		return []byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]}`)
	}
	return body
}

// Write answers the request with the outcome and echoes both request ids.
func (o *Outcome) Write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	Echo(header, r)
	body := o.Body()
	header.Set("Content-Type", ContentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(o.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the sender may have gone
	}
}

// The headers that carry a request's ids.
const (
	HeaderRequestID     = "X-Request-Id"
	HeaderCorrelationID = "X-Correlation-Id"
)

// Echo copies the request's ids into an answer that lacks them.
func Echo(answer http.Header, r *http.Request) {
	for _, name := range []string{HeaderRequestID, HeaderCorrelationID} {
		if id := r.Header.Get(name); id != "" && answer.Get(name) == "" {
			answer.Set(name, id)
		}
	}
}

// IsOutcome reports whether a body is an OperationOutcome, in JSON or XML.
func IsOutcome(body []byte) bool {
	body = bytes.TrimLeft(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")), " \t\r\n")
	if bytes.HasPrefix(body, []byte("<")) {
		return rootOf(body) == "OperationOutcome"
	}
	var is struct {
		ResourceType string `json:"resourceType"`
	}
	return json.Unmarshal(body, &is) == nil && is.ResourceType == "OperationOutcome"
}

// Codes returns the detail codes of an OperationOutcome in JSON, and nothing for any other body.
func Codes(body []byte) []string {
	var read resource
	if json.Unmarshal(body, &read) != nil || read.ResourceType != "OperationOutcome" {
		return nil
	}
	var codes []string
	for _, issue := range read.Issue {
		for _, coding := range issue.Details.Coding {
			codes = append(codes, coding.Code)
		}
	}
	return codes
}

// rootOf returns the name of an XML document's root element.
func rootOf(document []byte) string {
	decoder := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		if element, ok := token.(xml.StartElement); ok {
			return element.Name.Local
		}
	}
}
