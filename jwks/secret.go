package jwks

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// SecretSize is the length of a Secret in bytes.
const SecretSize = 32

// Secret is one random value that the nodes of a gateway share in their vault and keep nowhere else: not in a session
// store, and not in its backup. It is made when it is first asked for, and never changed: what was sealed with it
// would be lost.
type Secret struct {
	vault  Vault
	name   string
	random io.Reader

	turn  chan struct{} // holds one token; who takes it may use value
	value []byte
}

// NewSecret names the entry of the vault; nil random means crypto/rand. It touches the vault at first use.
func NewSecret(vault Vault, name string, random io.Reader) *Secret {
	if random == nil {
		random = rand.Reader
	}
	s := &Secret{vault: vault, name: name, random: random, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// Bytes returns the secret, which the caller must not change.
func (s *Secret) Bytes(ctx context.Context) ([]byte, error) {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for %s: %w", s.name, context.Cause(ctx))
	}
	if s.value != nil {
		return s.value, nil
	}
	value, err := s.load(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		value, err = s.make(ctx)
	}
	if err != nil {
		return nil, err
	}
	s.value = value
	return value, nil
}

func (s *Secret) load(ctx context.Context) ([]byte, error) {
	text, err := s.vault.Load(ctx, s.name)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", s.name, err)
	}
	value, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(value) != SecretSize {
		return nil, fmt.Errorf("%s in the gateway's storage is damaged; restore the entry from a backup, or remove it to have "+
			"another made, which opens nothing that was sealed before", s.name)
	}
	return value, nil
}

// make makes the secret under the vault's lock, unless another node was quicker.
func (s *Secret) make(ctx context.Context) (_ []byte, err error) {
	if err := s.vault.Lock(ctx, s.name); err != nil {
		return nil, fmt.Errorf("locking %s: %w", s.name, err)
	}
	defer func() {
		if unlockErr := s.vault.Unlock(context.WithoutCancel(ctx), s.name); unlockErr != nil && err == nil {
			err = fmt.Errorf("unlocking %s: %w", s.name, unlockErr)
		}
	}()
	value, err := s.load(ctx)
	if !errors.Is(err, fs.ErrNotExist) {
		return value, err
	}
	value = make([]byte, SecretSize)
	if _, err := io.ReadFull(s.random, value); err != nil {
		return nil, fmt.Errorf("making %s: %w", s.name, err)
	}
	if err := s.vault.Save(ctx, s.name, []byte(base64.StdEncoding.EncodeToString(value))); err != nil {
		return nil, fmt.Errorf("saving %s: %w", s.name, err)
	}
	return value, nil
}
