package faults_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	workers  = 4
	patience = time.Minute           // for whatever has to happen
	breath   = 20 * time.Millisecond // between two attempts
)

// load are the workers of a world, who go through journeys until they are told to stop.
type load struct {
	stop context.CancelFunc
	wg   sync.WaitGroup
}

// begin sets the workers to work.
func (w *world) begin() {
	life := w.t.Context()
	ctx, stop := context.WithCancel(life)
	w.load = &load{stop: stop}
	w.t.Cleanup(w.drain)
	for range workers {
		w.load.wg.Go(func() {
			for ctx.Err() == nil {
				within, end := context.WithTimeout(life, journeyTime()) // over many faults
				if err := w.journey(within); err != nil && life.Err() == nil {
					w.lose("a journey ended: %v", err)
				}
				end()
			}
		})
	}
}

// drain has every worker finish its journey.
func (w *world) drain() {
	w.load.stop()
	w.load.wg.Wait()
}

// journey is one request from its access token to its end, or to where people leave it.
func (w *world) journey(ctx context.Context) error {
	access, err := w.takeToken(ctx)
	if err != nil {
		return fmt.Errorf("access token: %w", err)
	}
	n := 1 + rand.IntN(6)
	if rand.IntN(20) == 0 {
		n = 250
	}
	r, err := newRequest(w.base, w.now(), n)
	if err != nil {
		return err
	}
	r.access = access
	a, err := w.insist(ctx, func() (answer, error) { return w.send(ctx, r) })
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if r.token, r.page = a.field("token"), a.field("redirectUri"); a.status != http.StatusOK || r.token == "" {
		return fmt.Errorf("request: %s", a)
	}
	w.journal.accepted(r)
	what := rand.IntN(10)
	if what < 2 {
		return nil // nobody opens it
	}
	v, err := w.open(ctx, r)
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	switch what {
	case 2:
		return nil // left open
	case 3:
		err = v.cancel(ctx)
	default:
		err = v.sign(ctx)
	}
	if err != nil {
		return fmt.Errorf("signing: %w", err)
	}
	if s, _ := w.journal.standing(r); s != signed {
		return nil
	}
	if a, err = w.insist(ctx, func() (answer, error) { return w.fetch(ctx, r) }); err != nil {
		return fmt.Errorf("fetching: %w", err)
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("fetching what was told to be signed: %s", a)
	}
	digest, err := r.verify(a.body)
	if err != nil {
		return fmt.Errorf("fetched: %w", err)
	}
	w.journal.fetched(r, digest)
	return nil
}

// takeToken gets an access token. An assertion whose answer was lost is not used again: its jti may be used up.
func (w *world) takeToken(ctx context.Context) (*assertion, error) {
	var made *assertion
	a, err := w.insist(ctx, func() (answer, error) {
		var err error
		if made, err = newAssertion(w.tokenURL, w.now()); err != nil {
			return answer{}, err
		}
		return w.redeem(ctx, made)
	})
	if err != nil {
		return nil, err
	}
	if made.token = a.field("access_token"); a.status != http.StatusOK || made.token == "" {
		return nil, errors.New(a.String())
	}
	made.until = w.now().Add(accessFor)
	w.journal.used(made)
	return made, nil
}

func (w *world) redeem(ctx context.Context, a *assertion) (answer, error) {
	return call(ctx, w.http, http.MethodPost, w.tokenURL, a.form, "Content-Type", "application/x-www-form-urlencoded")
}

func (w *world) send(ctx context.Context, r *request) (answer, error) {
	return call(ctx, w.http, http.MethodPost, w.base+"/signaturerequest?"+r.state, r.jwt,
		"Content-Type", "text/plain", "Authorization", "Bearer "+r.access.token)
}

func (w *world) fetch(ctx context.Context, r *request) (answer, error) {
	return call(ctx, w.http, http.MethodGet, w.base+"/signatureresponse/"+r.token, "", "Authorization", "Bearer "+r.access.token)
}

// insist repeats a call that gets no answer, or is told to come again later. Every other answer is for the caller
// to judge.
func (w *world) insist(ctx context.Context, once func() (answer, error)) (answer, error) {
	for {
		a, err := once()
		switch {
		case err != nil:
			w.count(&w.broken)
		case a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "":
			w.count(&w.put)
		case a.status >= http.StatusInternalServerError:
			return a, fmt.Errorf("an answer that no fault excuses: %s", a)
		default:
			return a, nil
		}
		if breathe(ctx) != nil {
			return a, errors.Join(fmt.Errorf("in vain: %s", a), err)
		}
	}
}

// journeyTime is how long a journey may take over many faults. On a machine that does other work as well it is longer.
func journeyTime() time.Duration {
	if os.Getenv("UNTIMED") != "" {
		return 30 * patience
	}
	return 3 * patience
}

// breathe waits a moment between two attempts; an error says that there is no time for another.
func breathe(ctx context.Context) error {
	select {
	case <-time.After(breath):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
