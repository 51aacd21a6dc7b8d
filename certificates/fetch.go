package certificates

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/seed-dd2befc3/countersign/outbound"
)

// errSame is how a server says that it has nothing newer.
var errSame = errors.New("not modified")

// fetch returns the end of the fetch under way, or of one that it starts; nil where none may start. It wants r.mu
// held.
func (r *Revocations) fetch(h *held) <-chan struct{} {
	if h.flight != nil || r.closed {
		return h.flight
	}
	flight := make(chan struct{})
	h.flight = flight
	known := validator{}
	if r.current(h.list) { // of one that is not, a newer one must come
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
			l, err = readList(der, h.signer, r.MaxEntries, r.Now())
		}
		if kept, changed := r.fetched(h, l, said, err); changed {
			r.store(h.key, kept, der)
		}
	})
	return flight
}

// fetched notes what came of a fetch: only a good list that is not older changes what is held. It returns what the
// disk should know of it.
func (r *Revocations) fetched(h *held, l *list, said validator, err error) (kept label, changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h.flight = nil
	now := r.Now()
	if err == nil && h.list != nil && l.olderThan(h.list) {
		err = errors.New("it is older than the one that is held")
	}
	if err == nil && !r.current(l) {
		err = fmt.Errorf("it should have been renewed at %s", stamp(l.nextUpdate))
		r.keep(h, l) // what it lists is revoked all the same
	}
	logger := r.Logger.With("list", printable(h.url))
	tally := r.tallyOf(h.url)
	switch {
	case r.life.Err() != nil:
		return label{}, false // ended by Close, which says nothing about the address
	case errors.Is(err, errSame):
		tally.Fetched++
	case err != nil:
		tally.Failed++
		wait := min(firstRetry<<min(h.failures, 10), lastRetry)
		h.failures++
		h.err, h.next = err, now.Add(wait)
		logger.Warn("a revocation list could not be fetched: mend its address, add a relay with rewrite, or see crl on_failure",
			"error", err, "held", h.list != nil, "current", r.current(h.list), "next_try", h.next)
		return label{}, false
	default:
		tally.Fetched++
		if h.list == nil || h.failures > 0 {
			logger.Info("a revocation list was fetched", "entries", len(l.revoked), "next_update", l.nextUpdate)
		}
		r.keep(h, l)
		h.validator = said
	}
	h.read, h.err, h.failures = now, nil, 0
	h.next = now.Add(min(r.Refresh, max(h.list.nextUpdate.Sub(now)/2, time.Minute)))
	return label{h.url, h.signer.Raw, h.read, h.asked, h.validator}, err == nil
}

// download gets a list, bounded in time and size. The media type is not looked at: lists are published under many.
func (r *Revocations) download(address string, known validator) ([]byte, validator, error) {
	if read, local := r.Local[address]; local {
		ctx, cancel := context.WithTimeout(r.life, r.Outbound.Timeout)
		defer cancel()
		der, err := read(ctx)
		if err == nil && int64(len(der)) > r.MaxBytes {
			err = fmt.Errorf("it has more than %d bytes", r.MaxBytes)
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
	defer func() { _ = response.Body.Close() }() // it was only read
	body, err := outbound.ReadBody(response, r.MaxBytes)
	switch {
	case err != nil:
		return nil, validator{}, r.plainly(err)
	case response.StatusCode == http.StatusNotModified && known != (validator{}):
		return nil, validator{}, errSame
	case response.StatusCode != http.StatusOK:
		return nil, validator{}, fmt.Errorf("the answer is %d, not 200", response.StatusCode)
	}
	return body, validator{response.Header.Get("ETag"), response.Header.Get("Last-Modified")}, nil
}

// plainly tells a fetch that took too long in one way: the limit of the whole and the limit on its headers have the
// same length, and which of the two ends it is chance.
func (r *Revocations) plainly(err error) error {
	if slow := net.Error(nil); errors.As(err, &slow) && slow.Timeout() {
		return fmt.Errorf("the fetch took longer than %s and was given up", r.Outbound.Timeout)
	}
	return err
}
