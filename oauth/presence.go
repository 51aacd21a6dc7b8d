package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Presence remembers who signed in at a provider for something else than tokens, such as at a page, until the provider
// says that they have logged out, or for twelve hours. What it keeps is a family without tokens, so that one logout
// ends both.
type Presence struct{ options Options }

// NewPresence makes a Presence in the store that the Authorizer's logouts are heard in. A nil now is time.Now.
func NewPresence(s store.Store, now func() time.Time) *Presence {
	if now == nil {
		now = time.Now
	}
	return &Presence{Options{Store: s, Now: now, Rand: rand.Reader}}
}

// Keep remembers a person who has just signed in, by the name that it returns. An ErrDenied is that the provider has
// ended the sign-in meanwhile.
func (p *Presence) Keep(ctx context.Context, person Person) (name string, err error) {
	person.Info = nil // nobody asks for it
	f, batch, err := p.options.beginFamily(ctx, "", flowPage, person)
	if err == nil {
		err = endedMeanwhile(p.options.Store.Commit(ctx, batch))
	}
	switch {
	case errors.Is(err, errEnded):
		return "", fmt.Errorf("%w: %w", ErrDenied, err)
	case err != nil:
		return "", fmt.Errorf("keeping a sign-in: %w", err)
	}
	return f.id, nil
}

// Holds says whether the person that Keep remembered is still signed in.
func (p *Presence) Holds(ctx context.Context, name string) (bool, error) {
	f, err := p.options.family(ctx, name)
	if err != nil {
		return false, fmt.Errorf("looking a sign-in up: %w", err)
	}
	return f != nil && f.Flow == flowPage && p.options.Now().Before(f.Ends), nil
}
