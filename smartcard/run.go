package smartcard

import (
	"bytes"
	"context"
	"errors"
	"net/http"
)

// Holder is a Signer that can tell whose card is present, for protocols that do not say who signs.
type Holder interface {
	// Holder returns the user id of the only person whose card could sign now. An *Error says why there is none.
	Holder(ctx context.Context) (sub string, err error)
}

// Run signs a job with a signer of this process, and checks its answer like one from the network. Every error but
// ctx's own is an *Error.
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

// Serves reports whether one of the patterns, such as 5550*, matches the user; no patterns match everybody.
func Serves(patterns []string, sub string) bool { return serves(patterns, sub) }

// kept is an answer kept in memory. A Stream bounds what a signer may write of it.
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
