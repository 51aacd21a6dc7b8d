// Package pin asks for a card's PIN: at a terminal, in a desktop dialog, or, for a service's key, from a file. A PIN
// is bytes, never a string, so that the caller can wipe it; nothing here keeps, copies or logs one.
package pin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Why no PIN was obtained.
var (
	ErrCancelled = errors.New("the PIN prompt was cancelled")
	ErrTimeout   = errors.New("no PIN was entered in time")
	errEmpty     = fmt.Errorf("%w: nothing was entered", ErrCancelled)
)

// Max is the length of the longest PIN, in bytes.
const Max = 255

// Source is a source of PINs. It is safe for concurrent use; it asks for one PIN at a time.
type Source interface {
	// Ask returns the PIN, which the caller wipes, or why there is none: ErrCancelled, ErrTimeout after ctx's
	// deadline, or an error of the source itself.
	Ask(ctx context.Context, p Prompt) ([]byte, error)

	// Stored reports that the PIN is stored rather than typed: the next Ask would return the same one.
	Stored() bool

	// Rejected reports that the card refused the last PIN from Ask.
	Rejected()
}

// Prompt is what a person must know to enter the right PIN, or to refuse.
type Prompt struct {
	User        string // whose card it is
	Token       string // the card's label
	Reader      string
	Client      string // the client system requesting signatures
	Items       int
	WrongBefore bool // a wrong PIN was entered since the last correct one
	LastTry     bool // one more wrong PIN locks the card
}

// Lines returns the prompt's text, one statement per line.
func (p Prompt) Lines() []string {
	who := p.Client
	if who == "" {
		who = "A client system"
	}
	what := "1 signature"
	if p.Items != 1 {
		what = fmt.Sprintf("%d signatures", p.Items)
	}
	lines := []string{
		fmt.Sprintf("%s asks for %s by user %s.", tame(who), what, tame(p.User)),
		fmt.Sprintf("Card %q in %s.", tame(p.Token), tame(p.Reader)),
	}
	switch {
	case p.LastTry:
		lines = append(lines, "This is the last try: another wrong PIN locks the card.")
	case p.WrongBefore:
		lines = append(lines, "The last PIN that was entered was wrong.")
	}
	return lines
}

// tame keeps a card's or client's name from controlling the screen.
func tame(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

// one allows a single prompt at a time.
type one chan struct{}

func newOne() one { return make(one, 1) }

func (o one) enter(ctx context.Context) error {
	select {
	case o <- struct{}{}:
		return nil
	case <-ctx.Done():
		return why(ctx)
	}
}

func (o one) leave() { <-o }

// why returns the reason a context ended, as an error of this package.
func why(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return ctx.Err()
}
