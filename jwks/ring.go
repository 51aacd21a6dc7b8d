package jwks

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// Vault stores the ring's private keys for all nodes of a gateway. Caddy's storage is one.
type Vault interface {
	// Load returns what was saved under name. The error is fs.ErrNotExist if there is nothing.
	Load(ctx context.Context, name string) ([]byte, error)
	Save(ctx context.Context, name string, data []byte) error
	// Lock waits for the lock called name, shared by all nodes, and takes it.
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// RingOptions configures a Ring. The zero value selects the defaults.
type RingOptions struct {
	Name    string           // name of the vault entry; default countersign/keys.json
	Rotate  time.Duration    // how long a key signs; default 90 days
	Overlap time.Duration    // how long a key is published before and after it signs; default 7 days, at least 5 minutes
	Now     func() time.Time // default time.Now
	Rand    io.Reader        // default crypto/rand
	Logger  *slog.Logger     // default: nothing is logged
}

// Times of a ring.
const (
	ringMemory = time.Minute // how long keys read from the vault are cached

	DefaultRotate  = 90 * 24 * time.Hour // how long a key signs
	DefaultOverlap = 7 * 24 * time.Hour  // how long it is published before and after
	MinOverlap     = 5 * time.Minute     // the shortest overlap: well over ringMemory, so that every node knows a key before it signs
)

// Ring is the gateway's own Ed25519 keys, for webhooks and receipts. The states of a key are
//
//	next ──overlap──▶ signing ──rotate──▶ former ──overlap──▶ gone
//
// and it is published in the first three. Keys are generated on demand under the vault's lock; nodes that share a
// vault agree within a minute. A vault entry that cannot be parsed is an error and is never replaced: receivers
// would see signatures by keys that were never published.
type Ring struct {
	vault Vault
	RingOptions

	turn chan struct{} // a mutex whose waiters can give up; guards the fields below
	keys ringKeys
	read time.Time // when keys were last read
}

// NewRing returns a ring. The vault is first accessed at first use.
func NewRing(vault Vault, options RingOptions) *Ring {
	if options.Name == "" {
		options.Name = "countersign/keys.json"
	}
	options.Rotate = orDefault(options.Rotate, DefaultRotate)
	options.Overlap = max(orDefault(options.Overlap, DefaultOverlap), MinOverlap)
	options.Now = orTimeNow(options.Now)
	options.Logger = orDiscard(options.Logger)
	if options.Rand == nil {
		options.Rand = rand.Reader
	}
	r := &Ring{vault: vault, RingOptions: options, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r
}

// Sign signs a message with the current signing key and returns its kid.
func (r *Ring) Sign(ctx context.Context, message []byte) (kid string, sig []byte, err error) {
	keys, err := r.current(ctx)
	if err != nil {
		return "", nil, err
	}
	key := keys[keys.signing(r.Now())]
	return key.KID, ed25519.Sign(key.private, message), nil
}

// RingSignature is a signature with the kid of the key that made it.
type RingSignature struct {
	KID   string
	Value []byte
}

// SignAll signs a message with every key that may be the only one a verifier knows: the current signing key and, for
// as long as it is published, its predecessor.
func (r *Ring) SignAll(ctx context.Context, message []byte) ([]RingSignature, error) {
	keys, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	now := r.Now()
	var all []RingSignature
	for _, key := range keys.published(now, r.Overlap) {
		all = append(all, RingSignature{KID: key.KID, Value: ed25519.Sign(key.private, message)})
		if key.KID == keys[keys.signing(now)].KID {
			break // later keys do not sign yet
		}
	}
	slices.Reverse(all)
	return all, nil
}

// PublicSet returns the next, the signing and the former keys as a JWK set, each with kid, alg and use.
func (r *Ring) PublicSet(ctx context.Context) ([]byte, error) {
	keys, err := r.current(ctx)
	if err != nil {
		return nil, err
	}
	var public []published
	for _, key := range keys.published(r.Now(), r.Overlap) {
		public = append(public, published{kid: key.KID, alg: jwa.EdDSA, public: key.private.Public()})
	}
	return publish(public)
}

// current returns the keys, read from the vault at most a minute ago. It generates the next key when that is
// due.
func (r *Ring) current(ctx context.Context) (ringKeys, error) {
	select {
	case <-r.turn:
		defer func() { r.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the gateway's keys: %w", context.Cause(ctx))
	}
	now := r.Now()
	if age := now.Sub(r.read); r.keys != nil && age >= 0 && age < ringMemory {
		return r.keys, nil
	}
	keys, err := r.load(ctx)
	if err != nil {
		return nil, err
	}
	if keys.due(now, r.Rotate, r.Overlap) {
		switch renewed, err := r.renew(ctx); {
		case err == nil:
			keys = renewed
		case len(keys) == 0:
			return nil, err
		default:
			r.Logger.Warn("could not generate the gateway's next key and the current key goes on signing: check the storage",
				"entry", r.Name, "error", err)
		}
	}
	r.keys, r.read = keys, now
	return keys, nil
}

// load reads the vault entry. A missing entry is not an error.
func (r *Ring) load(ctx context.Context) (ringKeys, error) {
	data, err := r.vault.Load(ctx, r.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("loading the gateway's keys, %s: %w", r.Name, err)
	}
	keys, err := parseRing(data)
	if err != nil {
		return nil, fmt.Errorf("the gateway's keys, %s in its storage, are damaged: %w: restore the entry from a backup, "+
			"or remove it to generate new keys, which receivers must then fetch", r.Name, err)
	}
	return keys, nil
}

// renew generates the next key under the vault's lock, unless another node was faster.
func (r *Ring) renew(ctx context.Context) (_ ringKeys, err error) {
	if err := r.vault.Lock(ctx, r.Name); err != nil {
		return nil, fmt.Errorf("locking the gateway's keys, %s: %w", r.Name, err)
	}
	defer func() {
		// The lock is released even if the request that needed it has ended.
		if unlockErr := r.vault.Unlock(context.WithoutCancel(ctx), r.Name); unlockErr != nil {
			r.Logger.Warn("could not release the lock of the gateway's keys", "entry", r.Name, "error", unlockErr)
		}
	}()
	keys, err := r.load(ctx)
	if err != nil {
		return nil, err
	}
	now := r.Now()
	if !keys.due(now, r.Rotate, r.Overlap) {
		return keys, nil
	}
	keys, err = keys.withNext(now, r.Rotate, r.Overlap, r.Rand)
	if err != nil {
		return nil, err
	}
	data, err := keys.encode()
	if err != nil {
		return nil, err
	}
	if err := r.vault.Save(ctx, r.Name, data); err != nil {
		return nil, fmt.Errorf("saving the gateway's keys, %s: %w", r.Name, err)
	}
	last := keys[len(keys)-1]
	r.Logger.Info("generated a gateway key", "kid", last.KID, "signs_from", last.From)
	return keys, nil
}
