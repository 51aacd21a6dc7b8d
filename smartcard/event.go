package smartcard

import (
	"errors"

	"github.com/go-json-experiment/json"
)

// Bounds on the parts of an answer, in bytes.
const (
	MaxLine        = 64 << 10
	MaxCertificate = 16 << 10 // DER
	MaxSignature   = 1 << 10
)

// Event is one line of an agent's answer. Exactly one of these is set: Certificate, ID with Signature, ID with
// Failure, or Done.
type Event struct {
	Certificate []byte   // the signer's X.509 certificate, DER
	ID          string   // the payload that Signature or Failure is about
	Signature   []byte   // over that payload's bytes
	Failure     *Failure // why there is no signature
	Done        *Done
}

// Done is the last line of a complete answer.
type Done struct {
	Signed int // items signed
	Failed int // items that failed
}

// Failure is how an agent reports an error on the wire, for one item or in a 4xx or 5xx answer.
type Failure struct {
	Code    string `json:"code"`            // one of this package's codes, or the agent's own such as "0x53494705"
	Message string `json:"message"`         // for the person at the card
	Final   bool   `json:"final,omitempty"` // trying again cannot help
}

// Health is an agent's health report.
type Health struct {
	Ready   bool   `json:"ready"`
	Card    string `json:"card"`              // "present" or "absent"
	Subject string `json:"subject,omitempty"` // whose card it is, if the agent tells
}

// line is an Event on the wire. Pointers distinguish an absent member from an empty one.
type line struct {
	Certificate []byte   `json:"certificate,omitzero"`
	ID          *string  `json:"id,omitzero"`
	Signature   []byte   `json:"signature,omitzero"`
	Error       *Failure `json:"error,omitzero"`
	Done        *bool    `json:"done,omitzero"`
	Signed      *int     `json:"signed,omitzero"`
	Failed      *int     `json:"failed,omitzero"`
}

// Line returns the event as a line of the wire, newline included.
func (e Event) Line() []byte {
	l := line{Certificate: e.Certificate, Signature: e.Signature, Error: e.Failure}
	if e.Signature != nil || e.Failure != nil {
		l.ID = &e.ID
	}
	if e.Done != nil {
		done := true
		l.Done, l.Signed, l.Failed = &done, &e.Done.Signed, &e.Done.Failed
	}
	text, err := json.Marshal(l)
	if err != nil { // only an id that is not UTF-8 fails, and Job.Validate refuses those
		panic("smartcard: " + err.Error())
	}
	return append(text, '\n')
}

// The members of a line, as bits.
const (
	hasCertificate = 1 << iota
	hasID
	hasSignature
	hasError
	hasDone
	hasSigned
	hasFailed
)

func (l line) members() (set int) {
	for i, has := range []bool{
		l.Certificate != nil, l.ID != nil, l.Signature != nil, l.Error != nil, l.Done != nil, l.Signed != nil, l.Failed != nil,
	} {
		if has {
			set |= 1 << i
		}
	}
	return set
}

// parseEvent parses one line. Its errors say what is wrong and never repeat the content.
func parseEvent(text []byte) (Event, error) {
	var l line
	if err := unmarshal(text, &l); err != nil {
		return Event{}, errors.New("a line is not a JSON object of the protocol")
	}
	switch l.members() {
	case hasCertificate:
		if n := len(l.Certificate); n == 0 || n > MaxCertificate {
			return Event{}, errors.New("the certificate is empty or too long")
		}
		return Event{Certificate: l.Certificate}, nil
	case hasID | hasSignature:
		if n := len(l.Signature); n == 0 || n > MaxSignature {
			return Event{}, errors.New("a signature is empty or too long")
		}
		return Event{ID: *l.ID, Signature: l.Signature}, nil
	case hasID | hasError:
		if l.Error.Code == "" {
			return Event{}, errors.New("an error has no code")
		}
		return Event{ID: *l.ID, Failure: l.Error}, nil
	case hasDone | hasSigned | hasFailed:
		if !*l.Done {
			return Event{}, errors.New(`the done line says "done": false`)
		}
		return Event{Done: &Done{Signed: *l.Signed, Failed: *l.Failed}}, nil
	}
	return Event{}, errors.New("a line has members that do not belong together")
}
