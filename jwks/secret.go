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

// Secret is one random value that the nodes of a gateway share in their vault. It is stored nowhere else, neither in
// the session store nor in a backup of it. It is generated at first use and never changes, because values sealed under
// it would be lost.
type Secret struct {
	vault  Vault
	name   string
	random io.Reader

	turn  chan struct{} // a mutex whose waiters can give up; guards value
	value []byte
}

// NewSecret returns the secret stored in the vault under name; a nil random means crypto/rand. The vault is first
// accessed at first use.
func NewSecret(vault Vault, name string, random io.Reader) *Secret {
	if random == nil {
		random = rand.Reader
	}
	s := &Secret{vault: vault, name: name, random: random, turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// Bytes returns the secret, generating it if there is none. The caller must not modify it.
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
		return nil, fmt.Errorf("%s in the gateway's storage is damaged: restore the entry from a backup, or remove it to "+
			"generate another, under which nothing sealed before can be opened", s.name)
	}
	return value, nil
}

// make generates the secret under the vault's lock, unless another node was faster.
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
		return nil, fmt.Errorf("generating %s: %w", s.name, err)
	}
	if err := s.vault.Save(ctx, s.name, []byte(base64.StdEncoding.EncodeToString(value))); err != nil {
		return nil, fmt.Errorf("saving %s: %w", s.name, err)
	}
	return value, nil
}
