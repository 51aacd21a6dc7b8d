package smartcard

import (
	"bytes"
	"context"
	"errors"
	"net/http"
)

// Holder is a Signer that can tell whose card is there, for wires that do not say who is to sign.
type Holder interface {
	// Holder is the user id of the one person whose card could sign now. An *Error says why there is none.
	Holder(ctx context.Context) (sub string, err error)
}

// Run has a signer of this process sign a job, and returns what a gateway would have read of its answer: its answer
// goes through the same checks. Every error but ctx's own is an *Error.
func Run(ctx context.Context, signer Signer, job Job) (*Result, error) {
	if err := job.Validate(); err != nil {
		return nil, &Error{Code: CodeRefused, Final: true, cause: err}
	}
	kept := &kept{}
	out := newStream(ctx, kept, job)
	err := signer.Sign(ctx, job, out)
	if err == nil {
		err = out.send(Event{Done: &out.settled})
	}
	var known *Error
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &known):
		return nil, known
	case err != nil && !errors.Is(err, ErrEnded):
		return nil, &Error{Code: CodeUnreachable, cause: err}
	}
	return readAnswer(&kept.Buffer, job, func(Event) {})
}

// Serves says whether one of the patterns, such as 5550*, matches the user; none match everybody.
func Serves(patterns []string, sub string) bool { return serves(patterns, sub) }

// kept is an answer that is kept in memory. A Stream bounds what a signer may write of it.
type kept struct {
	bytes.Buffer
	header http.Header
}

func (k *kept) Header() http.Header {
	if k.header == nil {
		k.header = http.Header{}
	}
	return k.header
}

func (k *kept) WriteHeader(int) {}
