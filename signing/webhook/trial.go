package webhook

import (
	"context"
	"time"
)

// Trial makes one POST as a Dispatcher does, outside any queue, and returns how it went. Nothing of it is kept. The
// settings' Source is not asked: the body is the caller's. The secrets of the client, which may be none, sign it.
func (s Settings) Trial(ctx context.Context, address, client, id string, body []byte, now func() time.Time) Attempt {
	s.Source = fixedBody(body)
	attempt, _ := s.complete().send(ctx, address, &Delivery{ID: id, Client: client}, now)
	return attempt
}

// fixedBody is a Source of one body.
type fixedBody []byte

// Ripen implements Source.
func (fixedBody) Ripen(context.Context, *Delivery) error { return nil }

// Body implements Source.
func (b fixedBody) Body(context.Context, *Delivery) ([]byte, error) { return b, nil }
