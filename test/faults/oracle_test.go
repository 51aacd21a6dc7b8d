package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

const (
	sample     = 40              // of what was checked before, looked at again after each fault
	readyIn    = 5 * time.Second // after a start, where that is measured
	notTooLate = 10 * time.Second
)

// check looks for what was acknowledged: all that came since the last check and some of what is older, or all of it.
// The load may go on meanwhile, since a session only ever moves on.
func (w *world) check(everything bool) {
	if everything {
		w.seenRequests, w.seenAssertions = 0, 0
	}
	requests, assertions := w.journal.since(0, 0)
	for i, r := range requests {
		if i >= w.seenRequests || rand.IntN(w.seenRequests) < sample {
			w.within(func(ctx context.Context) { w.checkRequest(ctx, r) })
		}
	}
	for i, a := range assertions {
		if i >= w.seenAssertions || rand.IntN(w.seenAssertions) < sample {
			w.within(func(ctx context.Context) { w.checkAssertion(ctx, a) })
		}
	}
	w.seenRequests, w.seenAssertions = len(requests), len(assertions)
}

// within gives one check its time: how many there are depends on the load.
func (w *world) within(check func(ctx context.Context)) {
	ctx, end := context.WithTimeout(w.t.Context(), patience)
	defer end()
	check(ctx)
}

// checkRequest sends the JWT again and asks for the signatures.
func (w *world) checkRequest(ctx context.Context, r *request) {
	before, digest := w.journal.standing(r)
	if w.now().After(r.access.until) { // it was issued on another time
		access, err := w.takeToken(ctx)
		if err != nil {
			w.lose("a new access token: %v", err)
			return
		}
		r.access = access
	}
	again, err := w.insist(ctx, func() (answer, error) { return w.send(ctx, r) })
	switch {
	case err != nil:
		w.lose("a request that is %s cannot be sent again: %v", before, err)
	case again.status != http.StatusOK:
		w.lose("a request that is %s, sent again: %s", before, again)
	case again.field("token") != r.token || again.field("redirectUri") != r.page:
		w.lose("a request that is %s, sent again, gets another token", before)
	}
	got, err := w.insist(ctx, func() (answer, error) { return w.fetch(ctx, r) })
	if err == nil {
		err = r.judge(got, before, digest)
	}
	if err != nil {
		w.lose("a request that is %s: %v", before, err)
	}
}

// judge holds the answer to a fetch against where the session was seen last. It may have moved on since.
func (r *request) judge(got answer, before stage, digest string) error {
	switch code := got.field("code"); {
	case got.status == http.StatusOK:
		now, err := r.verify(got.body)
		switch {
		case err != nil:
			return err
		case before > opened && before != signed:
			return fmt.Errorf("its signatures are released")
		case digest != "" && now != digest:
			return fmt.Errorf("its signatures are others than before")
		}
		return nil
	case code == "not_opened" && before == created,
		code == "not_signed" && before <= opened,
		got.status == http.StatusGone && before != signed && (before == failed) == strings.Contains(string(got.body), "failed"):
		return nil
	case got.status == http.StatusGone && before <= opened:
		return nil // over since
	}
	return fmt.Errorf("its signatures, asked for: %s", got)
}

// checkAssertion uses a jti again.
func (w *world) checkAssertion(ctx context.Context, a *assertion) {
	again, err := w.insist(ctx, func() (answer, error) { return w.redeem(ctx, a) })
	left := a.expiry.Sub(w.now())
	switch {
	case err != nil:
		w.lose("a used jti: %v", err)
	case again.status/100 == 4 && (left < notTooLate || left > assertionFor+skew):
		// Refused for its age: it was made on another time, or long ago.
	case again.status != http.StatusBadRequest || again.field("error_description") != "Non-unique 'jti' claim in client_assertion JWT":
		w.lose("a used jti can be used again: %s", again)
	}
}

// awaitReady waits until the gateway takes requests, and measures how long that is after a moment. In a measured round it
// has to be in time; in a short one, on a machine that does other work as well, the clock says more about that.
func (w *world) awaitReady(since time.Time) {
	ctx, end := context.WithTimeout(w.t.Context(), patience)
	defer end()
	_, err := w.insist(ctx, func() (answer, error) { return w.redeem(ctx, &assertion{form: "grant_type=none"}) })
	if err == nil {
		_, err = w.insist(ctx, func() (answer, error) {
			return call(ctx, w.http, http.MethodGet, w.base+"/signatureresponse/f523a772-24f2-45d6-a8da-59b48de0231a", "",
				"Authorization", "Bearer "+strings.Repeat("x", 28))
		})
	}
	took := time.Since(since)
	w.starts = append(w.starts, took)
	switch {
	case !w.Running():
		w.t.Fatal("the gateway ended by itself")
	case err != nil || timed() && took > readyIn:
		w.lose("ready after %s only (%v)", took, err)
	}
}
