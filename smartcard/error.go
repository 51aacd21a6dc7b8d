package smartcard

import (
	"strings"
	"unicode"
)

// Codes of an Error. The person can resolve those up to CodeCardUnfit, at the card or at the service desk; the others
// are for the operator.
const (
	CodeNoCard      = "no_card"           // no card in the reader, or another person's
	CodeWrongPIN    = "wrong_pin"         // the PIN was wrong
	CodePINLocked   = "pin_locked"        // the card accepts no PIN any more; final
	CodePINTimeout  = "pin_timeout"       // nobody entered the PIN in time
	CodeCancelled   = "cancelled"         // the person cancelled at the card
	CodeCardRemoved = "card_removed"      // the card left the reader while signing
	CodeCardUnfit   = "card_unsuitable"   // the person's card cannot make this signature; final
	CodeCardTimeout = "card_timeout"      // the reader's or the card's software did not answer in time
	CodeCardCrashed = "card_crashed"      // the reader's or the card's software crashed
	CodeUnreachable = "agent_unreachable" // refused, reset, not resolved, TLS failed, or status 5xx
	CodeRefused     = "agent_refused"     // status 4xx, or the agent refuses to sign for another reason
	CodeTimeout     = "agent_timeout"     // silent for too long, or the job took too long
	CodeGarbage     = "agent_garbage"     // the answer is not in the protocol
	CodeMismatch    = "agent_mismatch"    // the answer does not match the job: a lying agent
)

// advice is the text of Error for each code: what happened and what to do.
var advice = map[string]string{
	CodeNoCard:      "no usable smartcard: put the signing person's card in the reader and try again",
	CodeWrongPIN:    "the PIN was wrong: try again carefully, a card locks itself after a few wrong PINs",
	CodePINLocked:   "the card is locked after too many wrong PINs: its issuer can unlock it",
	CodePINTimeout:  "no PIN was entered in time: check that the prompt can be seen, or allow it more time",
	CodeCancelled:   "the person cancelled at the card",
	CodeCardRemoved: "the card was taken out of the reader: put it back and try again",
	CodeCardUnfit:   "the card cannot make this signature: `caddy countersign cards` at the agent says why",
	CodeCardTimeout: "the card's software did not answer in time: check the reader and the PKCS#11 module",
	CodeCardCrashed: "the card's software crashed: check the PKCS#11 module",
	CodeUnreachable: "the agent cannot be reached: check its address, that it is running, and the certificates of both ends",
	CodeRefused:     "the agent refused: check its allow_client and users, and its log",
	CodeTimeout:     "the agent took too long: check the reader, or allow it more time",
	CodeGarbage:     "the agent's answer is not in the protocol: check the address and the agent's version",
	CodeMismatch:    "the agent's answer does not match the job: do not trust this agent",
}

// wireCodes maps codes that other agents are known to send to ours (AGT-B.6).
var wireCodes = map[string]string{
	"0x53494705": CodeNoCard,
	"0x53494703": CodeRefused,
	"PR30007":    CodeUnreachable,
}

// Error is why a job, or a health request, failed. Nothing of the job is kept.
type Error struct {
	Code    string // one of the codes above
	Message string // the agent's own text: printable, at most 200 characters; may be empty
	Final   bool   // trying again cannot help: the agent said so, or it lied
	Item    string // the id of the payload the agent failed at; may be empty
	Wire    string // the agent's own code as sent, printable and bounded; may be empty

	cause error
}

// Error returns the code, what to do, and the cause. It leaves out Message, Item and Wire, which come from the agent
// and may name a person.
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

// Unwrap returns the cause, if known.
func (e *Error) Unwrap() error { return e.cause }

// Retryable reports whether the person may try the same job again.
func (e *Error) Retryable() bool { return !e.Final }

func garbage(cause error) *Error  { return &Error{Code: CodeGarbage, cause: cause} }
func mismatch(cause error) *Error { return &Error{Code: CodeMismatch, Final: true, cause: cause} }

// toError gives a failure from the wire its stable code, or fallback if its code is unknown.
func (f Failure) toError(fallback string) *Error {
	e := &Error{Code: fallback, Message: tame(f.Message, 200), Final: f.Final, Wire: tame(f.Code, 40)}
	switch f.Code {
	case CodePINLocked, CodeCardUnfit:
		e.Code, e.Final = f.Code, true
	case CodeNoCard, CodeWrongPIN, CodePINTimeout, CodeCancelled, CodeCardRemoved, CodeCardTimeout, CodeCardCrashed:
		e.Code = f.Code
	default:
		if code, known := wireCodes[f.Code]; known {
			e.Code = code
		}
	}
	return e
}

// tame makes foreign text safe to show: only printable characters (no control or direction-changing ones), each run
// of white space one space, at most limit characters.
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
