// Package pin asks for a card's PIN: at a terminal, by a dialog on the desktop, or, for a key that is a service's
// and not a person's, from a file. A PIN is bytes, never a string, so that whoever asked can wipe it; nothing here
// keeps, copies or logs one.
package pin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Why there is no PIN.
var (
	ErrCancelled = errors.New("the prompt for the PIN was cancelled")
	ErrTimeout   = errors.New("no PIN was entered in time")
	errEmpty     = fmt.Errorf("%w: nothing was entered", ErrCancelled)
)

// Max is the length of the longest PIN, in bytes.
const Max = 255

// Source is where PINs come from. It may be used by many goroutines; a prompt asks for one PIN at a time.
type Source interface {
	// Ask returns the PIN, which the caller wipes, or says why there is none: ErrCancelled, ErrTimeout when ctx's
	// deadline has passed, or what is wrong with the source itself.
	Ask(ctx context.Context, p Prompt) ([]byte, error)

	// Stored says that the PIN is not typed but kept: the same one would come again.
	Stored() bool

	// Rejected tells that the card refused the PIN which Ask gave last.
	Rejected()
}

// Prompt is what a person must know to enter the right PIN, or to refuse.
type Prompt struct {
	User        string // whose card it is
	Token       string // the card's label
	Reader      string
	Client      string // the client system that asks for signatures
	Items       int
	WrongBefore bool // a wrong PIN was entered since the last right one
	LastTry     bool // one more wrong PIN locks the card
}

// Lines is the prompt in words, one thought a line.
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

// tame keeps what a card or a client calls itself from drawing on the screen.
func tame(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}

// one lets a single prompt stand at a time.
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

// why is the reason for which a context ended, in this package's words.
func why(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return ctx.Err()
}
