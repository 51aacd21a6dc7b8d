package pkcs11

import (
	"context"
	"errors"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pin"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pipe"
)

// failure is why a job failed: a code of the protocol, a sentence for the person at the card, and details for the
// operator.
type failure struct {
	code    string
	message string
	final   bool
	detail  string
}

func (f *failure) Error() string { return f.code + ": " + f.detail }

func (f *failure) wire() smartcard.Failure {
	return smartcard.Failure{Code: f.code, Message: f.message, Final: f.final}
}

// kinds maps a child's failures.
var kinds = map[pipe.Kind]failure{
	pipe.PINWrong:  {code: smartcard.CodeWrongPIN, message: "The PIN was wrong. It was tried once; nothing was signed with it."},
	pipe.PINLocked: {code: smartcard.CodePINLocked, message: "The smartcard is locked after too many wrong PINs.", final: true},
	pipe.Cancelled: {code: smartcard.CodeCancelled, message: "The PIN was cancelled at the reader."},
	pipe.Removed:   {code: smartcard.CodeCardRemoved, message: "The smartcard was taken out of the reader."},
	pipe.Unfit:     {code: smartcard.CodeCardUnfit, message: "This smartcard cannot make this signature.", final: true},
	pipe.Broken:    {code: smartcard.CodeCardCrashed, message: "The smartcard's software reported a failure."},
}

// causes maps failures detected on this side.
var causes = []struct {
	err error
	failure
}{
	{errHung, failure{code: smartcard.CodeCardTimeout, message: "The smartcard or its reader stopped answering."}},
	{errCrashed, failure{code: smartcard.CodeCardCrashed, message: "The smartcard's software crashed."}},
	{pin.ErrCancelled, failure{code: smartcard.CodeCancelled, message: "The PIN was not entered: the prompt was cancelled."}},
	{pin.ErrTimeout, failure{code: smartcard.CodePINTimeout, message: "No PIN was entered in time."}},
}

// explain finds the failure behind an error, and logs what the person is not told.
func (a *Agent) explain(ctx context.Context, err error) *failure {
	known := classify(err)
	if known.code != smartcard.CodeNoCard && known.code != smartcard.CodeCancelled {
		a.o.Logger.WarnContext(ctx, "card did not sign", "code", known.code, "error", known.detail)
	}
	return known
}

func classify(err error) *failure {
	var known *failure
	if errors.As(err, &known) {
		return known
	}
	var told *pipe.Failure
	if errors.As(err, &told) {
		found, ok := kinds[told.Kind]
		if !ok {
			found = kinds[pipe.Broken]
		}
		found.detail = told.Text
		return &found
	}
	for _, cause := range causes {
		if errors.Is(err, cause.err) {
			found := cause.failure
			found.detail = err.Error()
			return &found
		}
	}
	return &failure{
		code: smartcard.CodeRefused, message: "The smartcard agent is not set up correctly. Its log says what is wrong.", detail: err.Error(),
	}
}

// told converts an error from before anything was sent into what a server answers. The end of the job's context stays
// as it is.
func (a *Agent) told(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	known := a.explain(ctx, err)
	return &smartcard.Error{Code: known.code, Message: known.message, Final: known.final}
}
