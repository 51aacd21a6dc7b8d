package oauth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

func TestChecker(t *testing.T) {
	w := newWorld(t)
	token := w.token(t, "acme", "acme-1")
	check := func(authorization string) BearerCode {
		t.Helper()
		_, err := w.check.Check(t.Context(), authorization)
		if err != nil && strings.Contains(err.Error(), token) {
			t.Error("the error holds the token")
		}
		return BearerCodeOf(err)
	}
	for authorization, want := range map[string]BearerCode{
		"Bearer " + token:                     "",
		"bearer " + token:                     "",
		"":                                    BearerMissing,
		"Bearer":                              BearerMissing,
		"Bearer ":                             BearerMissing,
		"Basic " + token:                      BearerMissing,
		token:                                 BearerMissing,
		"Bearer " + token[:27]:                BearerUnknown,
		"Bearer " + token + "x":               BearerUnknown,
		"Bearer " + token + " x":              BearerUnknown,
		"Bearer " + token[:27] + "!":          BearerUnknown,
		"Bearer 0000000000000000000000000000": BearerUnknown,
	} {
		if got := check(authorization); got != want {
			t.Errorf("%.12q: %q, want %q", authorization, got, want)
		}
	}
	w.check.Approved = func(client string) bool { return client != "acme" }
	if got := check("Bearer " + token); got != BearerUnknown {
		t.Errorf("a revoked client's token: %q", got)
	}
	w.check.Approved = nil
	w.clock.Add(599*time.Second - 1)
	if got := check("Bearer " + token); got != "" {
		t.Errorf("at its last moment: %q", got)
	}
	w.clock.Add(1)
	if got := check("Bearer " + token); got != BearerExpired {
		t.Errorf("after its life: %q", got)
	}
	w.clock.Add(remembered)
	if got := check("Bearer " + token); got != BearerUnknown {
		t.Errorf("long after: %q", got)
	}
	w.store.fail(store.ErrUnavailable)
	if _, err := w.check.Check(t.Context(), "Bearer "+token); !errors.Is(err, store.ErrUnavailable) || BearerCodeOf(err) != "" {
		t.Errorf("without a store: %v", err)
	}
}

// Nobody who reads the store learns a token.
func TestTheStoreHoldsNoToken(t *testing.T) {
	w := newWorld(t)
	spy := &spy{Store: w.store}
	w.Store = spy
	token := w.token(t, "acme", "acme-1")
	if len(spy.seen) == 0 || strings.Contains(string(spy.seen), token) {
		t.Errorf("the store was given %q", spy.seen)
	}
}

type spy struct {
	store.Store
	seen []byte
}

func (s *spy) Commit(ctx context.Context, batch store.Batch) error {
	for _, op := range batch.Then {
		s.seen = append(s.seen, op.Delete...)
		if op.Put != nil {
			s.seen = append(append(s.seen, op.Put.Key...), op.Put.Value...)
		}
	}
	return s.Store.Commit(ctx, batch)
}

// Tokens come from the randomness given, evenly.
func TestNewToken(t *testing.T) {
	count := map[rune]int{}
	w := newWorld(t)
	for range 4000 {
		token, err := newToken(w.Rand)
		if err != nil || len(token) != 28 {
			t.Fatal(token, err)
		}
		for _, c := range token {
			count[c]++
		}
	}
	if len(count) != 62 {
		t.Errorf("%d different characters", len(count))
	}
	for c, n := range count { // 4000*28/62 = 1806, sigma 42
		if n < 1806-300 || n > 1806+300 {
			t.Errorf("%c came %d times", c, n)
		}
	}
	if _, err := newToken(strings.NewReader("short")); err == nil {
		t.Error("a token without randomness")
	}
}
