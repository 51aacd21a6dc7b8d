package openid

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// algorithms are those of ID tokens (TOK-6.15).
var algorithms = []string{oidc.RS256, oidc.RS512}

// verifier verifies ID tokens, one of which it is made for. An empty audience leaves that to the caller.
func (p *Provider) verifier(found *discovered, audience string) (*oidc.IDTokenVerifier, *keySet) {
	keys := &keySet{keys: found.keys, issuer: p.Issuer()}
	return oidc.NewVerifier(p.Issuer(), keys, &oidc.Config{
		ClientID: audience, SkipClientIDCheck: audience == "", SupportedSigningAlgs: algorithms, Now: p.Now,
	}), keys
}

// Identify verifies an ID token but for its audience, which is for the caller to judge.
func (p *Provider) Identify(ctx context.Context, idToken string) (oauth.Person, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return oauth.Person{}, err
	}
	verifier, keys := p.verifier(found, "")
	token, err := verifier.Verify(p.with(ctx), idToken)
	if err != nil {
		return oauth.Person{}, keys.denied(err)
	}
	return p.person(token)
}

// keySet has go-oidc verify with the keys that jwks keeps, and with what jwks reads strictly.
type keySet struct {
	keys   *jwks.Registry
	issuer string
	err    error // why there was no key; go-oidc keeps its words alone
}

// VerifySignature implements oidc.KeySet.
func (k *keySet) VerifySignature(ctx context.Context, compact string) ([]byte, error) {
	token, err := jwks.Parse([]byte(compact))
	if err != nil {
		return nil, err
	}
	key, err := k.keys.Key(ctx, k.issuer, token.Header.KID)
	if err != nil {
		k.err = err
		return nil, err
	}
	if err := token.VerifyAlg(key, algorithms...); err != nil {
		return nil, err
	}
	return token.Payload(), nil
}

// denied is the refusal of a token, unless it is that the keys cannot be fetched.
func (k *keySet) denied(err error) error {
	if errors.Is(k.err, jwks.ErrUnreachable) {
		return k.err
	}
	return fmt.Errorf("%w: %w", oauth.ErrDenied, clipped(err))
}

// clipped keeps what a library says fit for a line of a log: go-oidc quotes answers.
func clipped(err error) error {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, err.Error())
	if len(text) <= 300 {
		return &shortened{text, err}
	}
	return &shortened{strings.ToValidUTF8(text[:300], "") + "…", err}
}

// shortened is an error with a text of its own.
type shortened struct {
	text  string
	cause error
}

func (s *shortened) Error() string { return s.text }
func (s *shortened) Unwrap() error { return s.cause }

// maxAnswer is the most that is read of any answer of the provider's.
const maxAnswer = 1 << 20

// bounded is the client with an end to every answer.
func bounded(client *http.Client) *http.Client {
	copied := *client
	if copied.Transport == nil {
		copied.Transport = http.DefaultTransport
	}
	copied.Transport = limit{copied.Transport}
	return &copied
}

type limit struct{ base http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (l limit) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.base.RoundTrip(r)
	if err == nil {
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, maxAnswer), response.Body}
	}
	return response, err
}

// CloseIdleConnections is what http.Client.CloseIdleConnections calls.
func (l limit) CloseIdleConnections() { (&http.Client{Transport: l.base}).CloseIdleConnections() }
