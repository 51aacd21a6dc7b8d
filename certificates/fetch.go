package certificates

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/seed-dd2befc3/countersign/crl"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// errSame means that the server has nothing newer.
var errSame = errors.New("not modified")

// fetch starts a fetch unless one is in flight, and returns a channel that is closed when it ends; nil if none may start.
// r.mu must be held.
func (r *Revocations) fetch(h *held) <-chan struct{} {
	if h.flight != nil || r.closed {
		return h.flight
	}
	flight := make(chan struct{})
	h.flight = flight
	known := validator{}
	if r.current(h.list) { // one that is not current must be replaced by a newer one
		known = h.validator
	}
	r.tasks.Go(func() {
		defer close(flight)
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-r.life.Done():
		}
		der, said, err := r.download(h.url, known)
		var l *list
		if err == nil {
			der, err = crl.DER(der, r.MaxBytes)
		}
		if err == nil {
			l, err = readList(der, h.signer, r.MaxEntries, r.Now())
		}
		if kept, changed := r.fetched(h, l, said, err); changed {
			r.store(h.key, kept, der)
		}
	})
	return flight
}

// fetched records the result of a fetch: only a good list that is not older replaces the current one. It returns what to
// store on disk.
func (r *Revocations) fetched(h *held, l *list, said validator, err error) (kept label, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.flight = nil
	now := r.Now()
	if err == nil && h.list != nil && l.olderThan(h.list) {
		err = errors.New("fetched list is older than the current one")
	}
	if err == nil && !r.current(l) {
		err = fmt.Errorf("fetched list was due for renewal at %s", stamp(l.nextUpdate))
		r.keep(h, l) // what it lists is revoked all the same
	}
	logger := r.Logger.With("list", printable(h.url))
	tally := r.tallyOf(h.url)
	switch {
	case r.life.Err() != nil:
		return label{}, false // canceled by Close, which says nothing about the address
	case errors.Is(err, errSame):
		tally.Fetched++
	case err != nil:
		tally.Failed++
		wait := min(firstRetry<<min(h.failures, 10), lastRetry)
		h.failures++
		h.err, h.next = err, now.Add(wait)
		logger.Warn("fetching a revocation list failed: check its address, add a relay with rewrite, or see crl on_failure",
			"error", err, "held", h.list != nil, "current", r.current(h.list), "next_try", h.next)
		return label{}, false
	default:
		tally.Fetched++
		if h.list == nil || h.failures > 0 {
			logger.Info("fetched a revocation list", "entries", len(l.revoked), "next_update", l.nextUpdate)
		}
		r.keep(h, l)
		h.validator = said
	}
	h.read, h.err, h.failures = now, nil, 0
	h.next = now.Add(min(r.Refresh, max(h.list.nextUpdate.Sub(now)/2, time.Minute)))
	return label{h.url, h.signer.Raw, h.read, h.asked, h.validator}, err == nil
}

// download fetches a list, bounded in time and size. The media type is ignored: lists are published under many.
func (r *Revocations) download(address string, known validator) ([]byte, validator, error) {
	if read, local := r.Local[address]; local {
		ctx, cancel := context.WithTimeout(r.life, r.Outbound.Timeout)
		defer cancel()
		der, err := read(ctx)
		if err == nil && int64(len(der)) > r.MaxBytes {
			err = fmt.Errorf("response has more than %d bytes", r.MaxBytes)
		}
		return der, validator{}, err
	}
	u, err := r.address(address)
	if err != nil {
		return nil, validator{}, err
	}
	request, err := http.NewRequestWithContext(r.life, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, validator{}, err
	}
	if known.ETag != "" {
		request.Header.Set("If-None-Match", known.ETag)
	}
	if known.Modified != "" {
		request.Header.Set("If-Modified-Since", known.Modified)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, validator{}, r.plainly(err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	body, err := outbound.ReadBody(response, r.MaxBytes)
	switch {
	case err != nil:
		return nil, validator{}, r.plainly(err)
	case response.StatusCode == http.StatusNotModified && known != (validator{}):
		return nil, validator{}, errSame
	case response.StatusCode != http.StatusOK:
		return nil, validator{}, fmt.Errorf("got status %d, want 200", response.StatusCode)
	}
	return body, validator{response.Header.Get("ETag"), response.Header.Get("Last-Modified")}, nil
}

// plainly gives a fetch that took too long one error text: the limits on the whole fetch and on its headers are equal, so
// which of them ends it is chance.
func (r *Revocations) plainly(err error) error {
	if slow := net.Error(nil); errors.As(err, &slow) && slow.Timeout() {
		return fmt.Errorf("the fetch took longer than %s and was given up", r.Outbound.Timeout)
	}
	return err
}
