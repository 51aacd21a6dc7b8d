package smartcard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// writeTimeout is how long one line may wait for a gateway that does not read.
const writeTimeout = 30 * time.Second

// Stream is how a Signer answers: the certificate first, then each item as it is done. It refuses what the protocol
// does not allow, and refuses everything once the gateway is gone, so that a signer that returns Stream's errors
// stops before its next item. A Stream is for one goroutine.
type Stream struct {
	ctx     context.Context
	w       http.ResponseWriter
	out     *http.ResponseController
	open    map[string]bool // ids neither signed nor failed yet
	begun   bool            // something was written
	cert    bool            // the certificate was written
	settled Done
}

func newStream(ctx context.Context, w http.ResponseWriter, job Job) *Stream {
	s := &Stream{ctx: ctx, w: w, out: http.NewResponseController(w), open: make(map[string]bool, len(job.Payloads))}
	for _, p := range job.Payloads {
		s.open[p.ID] = true
	}
	return s
}

// Certificate sends the X.509 certificate, in DER, that verifies every signature of this job.
func (s *Stream) Certificate(der []byte) error {
	if s.cert {
		return errors.New("smartcard: second certificate in a stream")
	}
	if len(der) == 0 || len(der) > MaxCertificate {
		return fmt.Errorf("smartcard: the certificate must have 1 to %d bytes", MaxCertificate)
	}
	s.cert = true
	return s.send(Event{Certificate: der})
}

// Signature sends the signature over one payload.
func (s *Stream) Signature(id string, sig []byte) error {
	if !s.cert {
		return errors.New("smartcard: signature before the certificate")
	}
	if len(sig) == 0 || len(sig) > MaxSignature {
		return fmt.Errorf("smartcard: the signature must have 1 to %d bytes", MaxSignature)
	}
	if err := s.settle(id); err != nil {
		return err
	}
	s.settled.Signed++
	return s.send(Event{ID: id, Signature: sig})
}

// Fail reports why one payload was not signed. The gateway then gives up the whole job, so a signer may return nil
// without settling the others.
func (s *Stream) Fail(id string, why Failure) error {
	if why.Code == "" {
		return errors.New("smartcard: failure without a code")
	}
	if err := s.settle(id); err != nil {
		return err
	}
	s.settled.Failed++
	return s.send(Event{ID: id, Failure: &why})
}

// Line writes raw bytes unchecked and uncounted. Mocks use it to lie.
func (s *Stream) Line(raw []byte) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", mediaAnswer)
		s.w.WriteHeader(http.StatusOK)
	}
	if err := optional(s.out.SetWriteDeadline(time.Now().Add(writeTimeout))); err != nil {
		return err
	}
	if _, err := s.w.Write(raw); err != nil {
		return err
	}
	return optional(s.out.Flush())
}

func (s *Stream) send(e Event) error { return s.Line(e.Line()) }

func (s *Stream) settle(id string) error {
	if !s.open[id] {
		return errors.New("smartcard: the item is not in the job, or is settled already")
	}
	delete(s.open, id)
	return nil
}

// optional ignores the error of a ResponseWriter that does not support a controller's call.
func optional(err error) error {
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}
