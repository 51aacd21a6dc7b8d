package audit

// Line writes an entry as it stands in a log, with its hash, for tests that forge logs.
func (e *Entry) Line() ([]byte, error) { return e.line() }

// HeadMessage is what a head signs.
var HeadMessage = headMessage
