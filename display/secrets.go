package display

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// Vault is where secrets are kept: a storage that the nodes of a cluster share, and that is not the store. Load returns
// fs.ErrNotExist for what is not there. Save must be durable when it returns.
type Vault interface {
	Load(ctx context.Context, name string) ([]byte, error)
	Save(ctx context.Context, name string, data []byte) error
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// SecretsName is the entry of the vault that holds the secrets.
const SecretsName = "countersign/keys/displays"

const (
	// rotation is how long a secret seals. It opens what it sealed for as long as that is kept.
	rotation   = 24 * time.Hour
	secretSize = 32
)

type secretID [idSize]byte

// secret seals displays for a day.
type secret struct {
	id    secretID
	value []byte
	made  time.Time
	until time.Time // when the last display that it protects expires
}

// keptSecret is a secret as the vault has it.
type keptSecret struct {
	ID    string    `json:"id"` // hex
	Value []byte    `json:"value"`
	Made  time.Time `json:"made"`
	Until time.Time `json:"until"`
}

var errNoSecret = errors.New("the secret of a display is destroyed")

// secrets are those that protect a display still. All are in one entry of the vault, so that one that is no longer needed
// is destroyed by writing the entry without it.
type secrets struct {
	vault  Vault
	life   time.Duration
	now    func() time.Time
	random io.Reader

	mu    sync.Mutex
	known []secret // as the vault had them when it was last read, the newest last
}

func newSecrets(vault Vault, life time.Duration, now func() time.Time, random io.Reader) *secrets {
	return &secrets{vault: vault, life: life, now: now, random: random}
}

// current returns the secret that seals today, for a display that expires at the time given.
func (s *secrets) current(ctx context.Context, expires time.Time) (secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if found, ok := s.sealing(expires); ok {
		return found, nil
	}
	err := s.change(ctx, func() error {
		if _, ok := s.sealing(expires); ok { // another node was quicker
			return nil
		}
		return s.provide(expires)
	})
	if err != nil {
		return secret{}, err
	}
	found, ok := s.sealing(expires)
	if !ok {
		return secret{}, errors.New("the clock went on while a secret for displays was made")
	}
	return found, nil
}

// sealing is the newest secret, if it is of today and lives until the time given.
func (s *secrets) sealing(expires time.Time) (secret, bool) {
	if len(s.known) == 0 {
		return secret{}, false
	}
	newest, now := s.known[len(s.known)-1], s.now()
	return newest, !now.Before(newest.made.Add(-rotation)) && now.Before(newest.made.Add(rotation)) && !newest.until.Before(expires)
}

// provide makes today's secret, or has it live longer.
func (s *secrets) provide(expires time.Time) error {
	now := s.now()
	if n := len(s.known) - 1; n >= 0 && now.Before(s.known[n].made.Add(rotation)) && !now.Before(s.known[n].made.Add(-rotation)) {
		s.known[n].until = expires
		return nil
	}
	fresh := secret{value: make([]byte, secretSize), made: now.UTC(), until: now.Add(rotation + s.life).UTC()}
	if fresh.until.Before(expires) {
		fresh.until = expires.UTC()
	}
	if _, err := io.ReadFull(s.random, fresh.value); err != nil {
		return fmt.Errorf("making a secret for displays: %w", err)
	}
	if _, err := io.ReadFull(s.random, fresh.id[:]); err != nil {
		return fmt.Errorf("making a secret for displays: %w", err)
	}
	s.known = append(s.known, fresh)
	return nil
}

// find returns a secret by its id, which another node may have made since.
func (s *secrets) find(ctx context.Context, id secretID) (secret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID := func(one secret) bool { return one.id == id }
	n := slices.IndexFunc(s.known, byID)
	if n < 0 {
		if err := s.load(ctx); err != nil {
			return secret{}, err
		}
		n = slices.IndexFunc(s.known, byID)
	}
	if n < 0 || !s.now().Before(s.known[n].until) {
		return secret{}, errNoSecret
	}
	return s.known[n], nil
}

// sweep destroys the secrets that protect nothing any more.
func (s *secrets) sweep(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil || !slices.ContainsFunc(s.known, s.over) {
		return err
	}
	return s.change(ctx, func() error { return nil })
}

func (s *secrets) over(one secret) bool { return !s.now().Before(one.until) }

// change reads the secrets under the vault's lock, drops those that are over, applies a change, and writes them.
func (s *secrets) change(ctx context.Context, apply func() error) (err error) {
	if err := s.vault.Lock(ctx, SecretsName); err != nil {
		return fmt.Errorf("locking %s: %w", SecretsName, err)
	}
	defer func() {
		if unlockErr := s.vault.Unlock(context.WithoutCancel(ctx), SecretsName); unlockErr != nil && err == nil {
			err = fmt.Errorf("unlocking %s: %w", SecretsName, unlockErr)
		}
		if err != nil {
			s.known = nil // what the vault has is not known
		}
	}()
	if err := s.load(ctx); err != nil {
		return err
	}
	s.known = slices.DeleteFunc(s.known, s.over)
	if err := apply(); err != nil {
		return err
	}
	return s.save(ctx)
}

func (s *secrets) load(ctx context.Context) error {
	text, err := s.vault.Load(ctx, SecretsName)
	if errors.Is(err, fs.ErrNotExist) {
		s.known = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("loading %s: %w", SecretsName, err)
	}
	var kept []keptSecret
	if err := json.Unmarshal(text, &kept); err != nil {
		return fmt.Errorf("%s in the gateway's storage is damaged; remove the entry, and the displays of prescriptions that were kept are lost: %w", SecretsName, err)
	}
	s.known = s.known[:0:0]
	for _, one := range kept {
		id, err := hex.DecodeString(one.ID)
		if err != nil || len(id) != idSize || len(one.Value) != secretSize {
			return fmt.Errorf("%s in the gateway's storage is damaged; remove the entry, and the displays of prescriptions that were kept are lost", SecretsName)
		}
		s.known = append(s.known, secret{secretID(id), one.Value, one.Made, one.Until})
	}
	return nil
}

func (s *secrets) save(ctx context.Context) error {
	kept := make([]keptSecret, 0, len(s.known))
	for _, one := range s.known {
		kept = append(kept, keptSecret{hex.EncodeToString(one.id[:]), one.value, one.made, one.until})
	}
	text, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	if err := s.vault.Save(ctx, SecretsName, text); err != nil {
		return fmt.Errorf("saving %s: %w", SecretsName, err)
	}
	return nil
}
