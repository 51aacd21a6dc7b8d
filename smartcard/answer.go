package smartcard

import (
	"bufio"
	"encoding/base64"
	"errors"
	"io"
)

// Result is a complete answer: one certificate, and one signature for each payload of the job. Nothing in it has been
// verified.
type Result struct {
	Certificate []byte   // DER
	Signatures  [][]byte // in the order of Job.Payloads
}

// answer is what was read of an agent's answer to a job.
type answer struct {
	place  map[string]int // id → its index in the job
	result Result
	signed int
}

// readAnswer reads an agent's whole answer. heard is called with each valid line as it arrives. The error is an
// *Error if the agent sent something wrong, and body's own if reading failed.
func readAnswer(body io.Reader, job Job, heard func(Event)) (*Result, error) {
	a := answer{place: make(map[string]int, len(job.Payloads))}
	for i, p := range job.Payloads {
		a.place[p.ID] = i
	}
	a.result.Signatures = make([][]byte, len(job.Payloads))

	lines := bufio.NewReaderSize(io.LimitReader(body, answerLimit(job)), MaxLine)
	for {
		text, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, garbage(errors.New("the answer has a line that is too long"))
		case errors.Is(err, io.EOF):
			return nil, garbage(errors.New("the answer ended without its done line"))
		case err != nil:
			return nil, err
		}
		event, err := parseEvent(text)
		if err != nil {
			return nil, garbage(err)
		}
		if err := a.take(event); err != nil {
			return nil, err
		}
		heard(event)
		if event.Done == nil {
			continue
		}
		switch _, err := lines.ReadByte(); {
		case err == nil:
			return nil, garbage(errors.New("the answer continues after its done line"))
		case !errors.Is(err, io.EOF):
			return nil, err
		}
		return &a.result, nil
	}
}

// take adds one event, or returns an *Error that says why it does not fit.
func (a *answer) take(e Event) error {
	switch {
	case e.Certificate != nil:
		if a.result.Certificate != nil {
			return mismatch(errors.New("the answer has a second certificate"))
		}
		a.result.Certificate = e.Certificate
		return nil
	case e.Done != nil:
		if a.signed != len(a.result.Signatures) {
			return mismatch(errors.New("the done line came before all items"))
		}
		if e.Done.Signed != a.signed || e.Done.Failed != 0 {
			return mismatch(errors.New("the done line has wrong counts"))
		}
		return nil
	}
	i, known := a.place[e.ID]
	switch {
	case !known:
		return mismatch(errors.New("the answer has an item that is not in the job"))
	case a.result.Signatures[i] != nil:
		return mismatch(errors.New("the answer has an item twice"))
	case e.Failure != nil: // may come before the certificate, which does not exist without a card
		failed := e.Failure.toError(CodeRefused)
		failed.Item = e.ID
		return failed
	case a.result.Certificate == nil:
		return mismatch(errors.New("the answer has an item before the certificate"))
	}
	a.result.Signatures[i] = e.Signature
	a.signed++
	return nil
}

// answerLimit is more than a valid answer to the job can be: the certificate, the done line, and for each item its id
// (up to six bytes for one, if escaped) with the longest signature.
func answerLimit(job Job) int64 {
	const line = len(`{ "id": "", "signature": "" }`) + 32
	limit := 2 * MaxLine
	for _, p := range job.Payloads {
		limit += line + 6*len(p.ID) + base64.StdEncoding.EncodedLen(MaxSignature)
	}
	return int64(limit)
}
