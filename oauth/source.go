package oauth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// Bounds of fetching a token.
const (
	fetchTimeout = 10 * time.Second
	retryPause   = time.Second // after a failed fetch, before another one
	nextDelay    = time.Hour   // the real service keeps a key set for so long (TOK-3.2)
)

// SourceOptions are what a Source needs. TokenURL, ClientID and Signers are mandatory.
type SourceOptions struct {
	TokenURL string // of the token service
	Audience string // aud of the assertions; empty: TokenURL
	ClientID string // the application's API key: iss and sub of the assertions

	// Signers are the keys to ask with: the current one, and after it, during a rotation, the next one.
	Signers func(ctx context.Context) ([]*jwks.Signer, error)
	// NextPublished is when the next key was published. It is used from an hour after that; zero: never.
	NextPublished time.Time

	HTTP   *http.Client     // nil: one with a timeout of 10 s. No redirect is followed
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: nothing is logged
}

// Source gets an application's access tokens and keeps them (BAR-2.2). For each key there is one
// token, which is
//
//	none ──fetch──▶ fresh ──80 % of its life──▶ ageing ──100 %──▶ none
//
// A fresh token is handed out at once. While it is ageing, one caller fetches the next, and the others, and that
// caller too where the fetch fails, get the one there is. Without one everybody waits for the one fetch under
// way, and shares its failure. A caller who goes away takes its fetch along; the next in line begins another.
type Source struct {
	SourceOptions
	http *http.Client
	turn chan struct{} // held by the one who fetches

	mu       sync.Mutex
	tokens   map[string]held // by key
	failures int             // fetches failed
	failure  error           // of the last one
	failedAt time.Time
	nextFrom time.Time // the next key is not used before
}

// held is a token in the hand.
type held struct {
	token   string
	refresh time.Time // from here on it is ageing
	expires time.Time
}

// NewSource makes a Source. It fetches nothing yet.
func NewSource(options SourceOptions) (*Source, error) {
	u, err := url.Parse(options.TokenURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.User != nil || u.Fragment != "" {
		return nil, errors.New("the token URL must be an absolute http or https URL without user and fragment")
	}
	if options.ClientID == "" || options.Signers == nil {
		return nil, errors.New("a source of tokens needs a client id and keys")
	}
	if options.Audience == "" {
		options.Audience = options.TokenURL
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Source{SourceOptions: options, turn: make(chan struct{}, 1), tokens: map[string]held{}}
	s.http = &http.Client{Timeout: fetchTimeout}
	if options.HTTP != nil {
		*s.http = *options.HTTP
	}
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if !options.NextPublished.IsZero() {
		s.nextFrom = options.NextPublished.Add(nextDelay)
	}
	return s, nil
}

// Authorize puts a token into a request that is about to be sent.
func (s *Source) Authorize(ctx context.Context, r *http.Request) error {
	token, err := s.Token(ctx)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// Token returns a token that is valid now. Its errors are a *TokenError where the token service answered, and
// otherwise what kept it from being asked.
func (s *Source) Token(ctx context.Context) (string, error) {
	signers, err := s.Signers(ctx)
	if err != nil {
		return "", err
	}
	if len(signers) == 0 {
		return "", errors.New("there is no key to ask for a token with")
	}
	signers = s.inOrder(signers)
	token, fresh, failures := s.look(signers[0])
	switch {
	case fresh:
		return token, nil
	case token != "":
		select {
		case s.turn <- struct{}{}:
		default:
			return token, nil // another caller is at it
		}
	default:
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	defer func() { <-s.turn }()
	return s.renew(ctx, signers, failures)
}

// Invalidate drops a token that was refused where it was shown. Another that has come since stays.
func (s *Source) Invalidate(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, held := range s.tokens {
		if held.token == token {
			delete(s.tokens, key)
		}
	}
}

// Expires returns when a token that the source holds ends; zero for any other.
func (s *Source) Expires(token string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, held := range s.tokens {
		if held.token == token {
			return held.expires
		}
	}
	return time.Time{}
}

// inOrder puts the key to ask with first, and after it the one to fall back to.
func (s *Source) inOrder(signers []*jwks.Signer) []*jwks.Signer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(signers) < 2 || s.nextFrom.IsZero() || s.Now().Before(s.nextFrom) {
		return signers[:1]
	}
	return []*jwks.Signer{signers[1], signers[0]}
}

// look returns the token that the key has, if it is valid, and how many fetches had failed by then.
func (s *Source) look(signer *jwks.Signer) (token string, fresh bool, failures int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	have, ok := s.tokens[nameOf(signer)]
	if !ok || !now.Before(have.expires) {
		return "", false, s.failures
	}
	return have.token, now.Before(have.refresh), s.failures
}

// renew fetches a token, if that has not been done while its caller, who has the turn, waited for it. failures
// is how many had failed when the caller began.
func (s *Source) renew(ctx context.Context, signers []*jwks.Signer, failures int) (string, error) {
	token, fresh, now := s.look(signers[0])
	if fresh {
		return token, nil
	}
	err := s.shared(now != failures)
	if err == nil {
		var got held
		var by *jwks.Signer
		if got, by, err = s.fetch(ctx, signers); err == nil {
			s.keep(by, got)
			return got.token, nil
		}
		s.failed(ctx, err)
	}
	if token != "" {
		return token, nil // it is valid still
	}
	return "", err
}

// shared is the failure that the caller has waited for, or one of a moment ago.
func (s *Source) shared(waitedForIt bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since := s.Now().Sub(s.failedAt); s.failure != nil && (waitedForIt || since >= 0 && since < retryPause) {
		return s.failure
	}
	return nil
}

// fetch asks with each key in turn, as long as the token service does not know the one before.
func (s *Source) fetch(ctx context.Context, signers []*jwks.Signer) (held, *jwks.Signer, error) {
	for i, signer := range signers {
		got, err := s.ask(ctx, signer)
		if answer, ok := errors.AsType[*TokenError](err); !ok || !answer.NoMatchingKey() || i == len(signers)-1 {
			return got, signer, err
		}
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "the next key is not known to the token service yet; the current one goes on: check that it is published",
			slog.String("kid", signer.KID()), slog.String("token_url", s.TokenURL))
		s.mu.Lock()
		s.nextFrom = s.Now().Add(nextDelay)
		s.mu.Unlock()
	}
	return held{}, nil, errors.New("there is no key to ask for a token with")
}

// keep puts a token into the hand, and lets go of those that are over.
func (s *Source) keep(by *jwks.Signer, got held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, old := range s.tokens {
		if !s.Now().Before(old.expires) {
			delete(s.tokens, key)
		}
	}
	s.tokens[nameOf(by)] = got
	s.failure = nil
}

// failed notes a failure, unless it is that the caller went away.
func (s *Source) failed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	s.mu.Lock()
	s.failures++
	s.failure, s.failedAt = err, s.Now()
	s.mu.Unlock()
	s.Logger.LogAttrs(ctx, slog.LevelWarn, "no token could be fetched",
		slog.String("client", s.ClientID), slog.String("token_url", s.TokenURL), slog.Any("error", err))
}

// nameOf tells keys apart, also where two have one kid.
func nameOf(signer *jwks.Signer) string { return signer.KID() + " " + signer.Key().Thumbprint() }
