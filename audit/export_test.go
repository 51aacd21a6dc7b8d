package audit

// Line encodes an entry as a line of a log, with its hash, for tests that forge logs.
func (e *Entry) Line() ([]byte, error) { return e.line() }

// HeadMessage returns the message that a head signs.
var HeadMessage = headMessage
