package caddymodule

import (
	"context"

	"github.com/caddyserver/certmagic"
)

// Vault is where keys are kept: Caddy's storage, which a cluster shares. Load gives fs.ErrNotExist for what is not
// there.
type Vault interface {
	Load(ctx context.Context, name string) ([]byte, error)
	Save(ctx context.Context, name string, data []byte) error
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// MockCACertificate is where the mock smartcard agent keeps its CA's certificate, and where `trust mock` finds it.
const MockCACertificate = "countersign/mock/ca.crt"

// Where the mock smartcard agent publishes the revocation list of its CA: in Caddy's storage, and under the address
// that stands in its cards, which nobody has to serve.
const (
	MockCRL        = "countersign/mock/ca.crl"
	MockCRLAddress = "http://crl.mock.invalid/ca.crl"
)

// ownKeysName is where the gateway's own keys are kept.
const ownKeysName = "countersign/keys/own.json"

type vault struct{ storage certmagic.Storage }

func (v vault) Load(ctx context.Context, name string) ([]byte, error) {
	return v.storage.Load(ctx, name)
}

func (v vault) Save(ctx context.Context, name string, data []byte) error {
	return v.storage.Store(ctx, name, data)
}

func (v vault) Lock(ctx context.Context, name string) error   { return v.storage.Lock(ctx, name) }
func (v vault) Unlock(ctx context.Context, name string) error { return v.storage.Unlock(ctx, name) }
