package mock

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
)

const (
	callTimeout = 30 * time.Second // of the demo's calls to the service
	keyPatience = 20 * time.Second // until the gateway has fetched the demo's first key set
	keyPause    = time.Second
)

// tokens gets the demo's access tokens from this gateway's own token service, like any client. If the gateway has
// none, the demo sends no token.
type tokens struct {
	client string

	mu     sync.Mutex
	url    string // of the token service; empty: none
	key    *jwks.Signer
	source *oauth.Source
}

// use sets the token service each time a configuration starts.
func (t *tokens) use(url string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.url, t.source = url, nil
}

// authorize adds a token to a request of the demo. The gateway fetches the demo's key set at intervals until it is
// there, so the first token may take a few seconds.
func (t *tokens) authorize(ctx context.Context, key *jwks.Signer, r *http.Request) error {
	source, err := t.sourceFor(key)
	if err != nil || source == nil {
		return err
	}
	patience, end := context.WithTimeout(ctx, keyPatience)
	defer end()
	for {
		err := source.Authorize(ctx, r)
		if refusal, ok := errors.AsType[*oauth.TokenError](err); !ok || !refusal.KeysUnreachable() {
			return err
		}
		select {
		case <-time.After(keyPause):
		case <-patience.Done():
			return err
		}
	}
}

func (t *tokens) sourceFor(key *jwks.Signer) (*oauth.Source, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.url == "" || t.source != nil && t.key == key {
		return t.source, nil
	}
	source, err := oauth.NewSource(oauth.SourceOptions{
		TokenURL: t.url, ClientID: t.client,
		Signers: func(context.Context) ([]*jwks.Signer, error) { return []*jwks.Signer{key}, nil },
	})
	if err == nil {
		t.key, t.source = key, source
	}
	return source, err
}

// RoundTrip sends a request of the demo, and drops a token that the service refused.
func (t *tokens) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusUnauthorized {
		t.mu.Lock()
		source := t.source
		t.mu.Unlock()
		if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && source != nil {
			source.Invalidate(token)
		}
	}
	return response, err
}
