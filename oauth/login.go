package oauth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/seed-dd2befc3/countersign/cookies"
	"github.com/seed-dd2befc3/countersign/store"
)

const loginFormat = 1

// login is a sign-in under way. The browser keeps it while it is at the provider, sealed, so that whoever begins one
// and never comes back leaves nothing here.
type login struct {
	Client    string
	Redirect  string
	State     string // the client's
	Challenge string // of the client's PKCE, S256; empty: none
	Secret    string // from which nonce and verifier derive
	Expires   time.Time
}

// errSeal is that the key for sealing cannot be had.
var errSeal = errors.New("the key that seals sign-ins cannot be had")

// way is what the provider is sent for the login.
func (l *login) way(callback, ours string) SignIn { return NewSignIn(callback, ours, l.Secret) }

func (l *login) encode() []byte {
	text := []byte{loginFormat}
	for _, part := range []string{l.Client, l.Redirect, l.State, l.Challenge, l.Secret} {
		text = appendText(text, part)
	}
	return binary.AppendVarint(text, l.Expires.UnixMilli())
}

// decodeLogin reads what encode wrote, or nothing.
func decodeLogin(text []byte) *login {
	if len(text) == 0 || text[0] != loginFormat { // of another version of this program
		return nil
	}
	r := grantReader{rest: text[1:]}
	l := &login{Client: r.text(), Redirect: r.text(), State: r.text(), Challenge: r.text(), Secret: r.text(), Expires: r.instant()}
	if r.bad || len(r.rest) > 0 {
		return nil
	}
	return l
}

// seal makes of a login what a browser may keep. It opens for this state, this provider and this callback alone.
func (a *Authorizer) seal(ctx context.Context, l *login, callback, ours string) (string, error) {
	secret, err := a.sealWith(ctx)
	if err != nil {
		return "", err
	}
	return cookies.Seal(secret, a.purpose(callback, ours), l.encode())
}

// open opens what a browser kept, if it is right in every bit and not over.
func (a *Authorizer) open(ctx context.Context, sealed, callback, ours string) (*login, error) {
	if sealed == "" {
		return nil, nil //nolint:nilnil // none is no error
	}
	secret, err := a.sealWith(ctx)
	if err != nil {
		return nil, err
	}
	text, err := cookies.Open(secret, a.purpose(callback, ours), sealed)
	if err != nil {
		return nil, err
	}
	if l := decodeLogin(text); l != nil && a.Now().Before(l.Expires) {
		return l, nil
	}
	return nil, nil //nolint:nilnil // as above
}

func (a *Authorizer) sealWith(ctx context.Context) ([]byte, error) {
	secret, err := a.Seal(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSeal, err)
	}
	return secret, nil
}

// purpose is what a login is sealed for. Our state is new for each.
func (a *Authorizer) purpose(callback, ours string) string {
	return "countersign login " + digest(ours, a.Provider.Issuer(), callback)
}

// cookieID names the cookie of the login with this state of ours.
func cookieID(ours string) string { return digest("login cookie", ours)[:16] }

// errLoginUsed is that a sign-in came to its end before.
var errLoginUsed = errors.New("the state was used before")

// finishedKey is where it is kept that a person has signed in with a state of ours.
func finishedKey(state string) string { return secretKey("signed-in/", state) }

// finished says whether somebody has signed in with this state already, at any node.
func (a *Authorizer) finished(ctx context.Context, ours string) (bool, error) {
	found, err := a.Store.Get(ctx, finishedKey(ours))
	return err == nil && found[0].Version != 0, err
}

// finish adds to a batch that the login is used up by it. That is remembered for as long as any node would open it.
func (l *login) finish(batch *store.Batch, ours string) {
	record := &store.Record{Key: finishedKey(ours), Value: []byte{1}, Expires: l.Expires.Add(jtiSkew)}
	batch.If = append(batch.If, store.Check{Key: record.Key})
	batch.Then = append(batch.Then, store.Op{Put: record})
}
