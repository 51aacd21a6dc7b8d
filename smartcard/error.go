package smartcard

import (
	"strings"
	"unicode"
)

// Codes of an Error. The first three are the person's to put right, at the card; the others are the
// operator's.
const (
	CodeNoCard      = "no_card"           // no card in the reader, or not this person's
	CodeWrongPIN    = "wrong_pin"         // the PIN was wrong
	CodeCancelled   = "cancelled"         // the person cancelled at the card
	CodeUnreachable = "agent_unreachable" // refused, reset, not resolved, TLS failed, or it answered 5xx
	CodeRefused     = "agent_refused"     // it answered 4xx, or will not sign for a reason of its own
	CodeTimeout     = "agent_timeout"     // silent for too long, or the job took too long
	CodeGarbage     = "agent_garbage"     // what it sent is not the wire
	CodeMismatch    = "agent_mismatch"    // its answer is not an answer to this job: a lying agent
)

// advice is what Error says for each code: what happened and what to do.
var advice = map[string]string{
	CodeNoCard:      "no usable smartcard: put the signing person's card in the reader and try again",
	CodeWrongPIN:    "the PIN was wrong: try again with care, a card locks itself after a few wrong PINs",
	CodeCancelled:   "the person cancelled at the card",
	CodeUnreachable: "the agent cannot be reached: check its address, that it runs, and the certificates of both ends",
	CodeRefused:     "the agent refused: check its allow_client and users, and its log",
	CodeTimeout:     "the agent took too long: check the reader, or allow it more time",
	CodeGarbage:     "the agent's answer is not what an agent sends: check the address, and the agent's version",
	CodeMismatch:    "the agent's answer does not fit the job: do not trust this agent",
}

// wireCodes are codes that agents are known to send in place of ours (contract: smartcard-agent, B).
var wireCodes = map[string]string{
	"0x53494705": CodeNoCard,
	"0x53494703": CodeRefused,
	"PR30007":    CodeUnreachable,
}

// Error is why a job, or a question about health, came to nothing. Nothing of the job is kept.
type Error struct {
	Code    string // one of the codes above
	Message string // the agent's own words: printable, at most 200 characters; empty if it said none
	Final   bool   // trying again cannot help: the agent said so, or it lied
	Item    string // the id of the payload the agent gave up on; empty if it was not about one
	Wire    string // the agent's own code as it sent it, printable and bounded; empty if it sent none

	cause error
}

// Error gives the code, what to do, and what went wrong underneath. It leaves out Message, Item and Wire, which
// come from the agent and may name a person.
func (e *Error) Error() string {
	text := "smartcard: " + e.Code
	if a := advice[e.Code]; a != "" {
		text += ": " + a
	}
	if e.cause != nil {
		text += " (" + e.cause.Error() + ")"
	}
	return text
}

// Unwrap returns what went wrong underneath, if it is known.
func (e *Error) Unwrap() error { return e.cause }

// Retryable says whether the person may try the same job again.
func (e *Error) Retryable() bool { return !e.Final }

func garbage(cause error) *Error  { return &Error{Code: CodeGarbage, cause: cause} }
func mismatch(cause error) *Error { return &Error{Code: CodeMismatch, Final: true, cause: cause} }

// toError gives a wire failure its stable code, or fallback where we know none for it.
func (f Failure) toError(fallback string) *Error {
	e := &Error{Code: fallback, Message: tame(f.Message, 200), Final: f.Final, Wire: tame(f.Code, 40)}
	switch f.Code {
	case CodeNoCard, CodeWrongPIN, CodeCancelled:
		e.Code = f.Code
	default:
		if code, known := wireCodes[f.Code]; known {
			e.Code = code
		}
	}
	return e
}

// tame makes foreign words fit to show: printable characters only (so no control or direction-changing ones),
// every run of white space one space, at most limit characters.
func tame(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, word := range strings.Fields(s) {
		if n > 0 {
			word = " " + word
		}
		for _, r := range word {
			if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
				continue
			}
			if n == limit {
				return b.String()
			}
			b.WriteRune(r)
			n++
		}
	}
	return b.String()
}
