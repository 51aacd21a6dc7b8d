package oauth

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

const (
	loginLife   = 10 * time.Minute // for a person to sign in
	loginFormat = 1
)

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

// seal makes of a login what a browser may keep: it can neither read nor change it, and it opens for this state, this
// provider and this callback alone.
func (a *Authorizer) seal(ctx context.Context, l *login, callback, ours string) (string, error) {
	box, err := a.box(ctx, callback, ours)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(box.Seal(nil, nil, l.encode(), nil)), nil //nolint:gosec // G407: it makes its nonces itself
}

// open opens what a browser kept, if it is right in every bit and not over.
func (a *Authorizer) open(ctx context.Context, sealed, callback, ours string) (*login, error) {
	text, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if sealed == "" || len(sealed) > maxCookie || err != nil {
		return nil, nil //nolint:nilnil // none is no error
	}
	box, err := a.box(ctx, callback, ours)
	if err != nil {
		return nil, err
	}
	text, err = box.Open(nil, nil, text, nil)
	if err != nil {
		return nil, nil //nolint:nilerr,nilnil // it is another's, or was changed
	}
	if l := decodeLogin(text); l != nil && a.Now().Before(l.Expires) {
		return l, nil
	}
	return nil, nil //nolint:nilnil // as above
}

// box seals one login and no other: its key derives from the gateway's and all that the login is bound to, our state
// among it, which is new each time. So no key ever seals enough for two nonces to meet, however many are begun.
func (a *Authorizer) box(ctx context.Context, callback, ours string) (cipher.AEAD, error) {
	secret, err := a.Seal(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSeal, err)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, "countersign login "+digest(ours, a.Provider.Issuer(), callback), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSeal, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSeal, err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

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
