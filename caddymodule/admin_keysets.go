package caddymodule

import (
	"errors"
	"net/http"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// keySetsAnswer is the answer of /countersign/keysets/{client}/refresh; adminapi.KeySets reads it.
type keySetsAnswer struct {
	KeySets []keySetStatus `json:"keySets"`
}

// adminRefreshKeys reads a client's key sets now, for an operator who does not want to wait until the gateway would.
func (a *App) adminRefreshKeys(r *http.Request) (int, any) {
	client := r.PathValue("client")
	sources, err := a.keys.Refresh(r.Context(), client)
	switch {
	case errors.Is(err, jwks.ErrUnknownClient):
		return http.StatusNotFound, adminErrorf("there is no client of that id in the configuration")
	case errors.Is(err, jwks.ErrNoKeys):
		return http.StatusConflict, adminErrorf("the client has no key registered: add jwks or key to its block")
	case err != nil:
		return http.StatusServiceUnavailable, adminErrorf("the key set was not fetched: %v", err)
	}
	answer := keySetsAnswer{KeySets: make([]keySetStatus, len(sources))}
	for i, source := range sources {
		answer.KeySets[i] = keySetStatus{source, int64(source.Age(a.now()) / time.Second)}
	}
	return http.StatusOK, answer
}
