package caddymodule

import (
	"context"
	"path/filepath"

	"github.com/caddyserver/certmagic"

	"github.com/seed-dd2befc3/countersign/durable"
)

// Vault stores keys in Caddy's storage, which a cluster shares. Load returns fs.ErrNotExist for a missing key.
type Vault interface {
	Load(ctx context.Context, name string) ([]byte, error)
	Save(ctx context.Context, name string, data []byte) error
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// MockCACertificate is where the mock smartcard agent keeps its CA's certificate, and where `trust mock` finds it.
const MockCACertificate = "countersign/mock/ca.crt"

// The mock smartcard agent publishes its CA's revocation list in Caddy's storage. Its cards name MockCRLAddress, which
// need not be served.
const (
	MockCRL        = "countersign/mock/ca.crl"
	MockCRLAddress = "http://crl.mock.invalid/ca.crl"
)

// OwnKeysName is where the gateway's own keys are kept.
const OwnKeysName = "countersign/keys/own.json"

// NewVault keeps keys in a storage of Caddy's.
func NewVault(storage certmagic.Storage) Vault { return vault{storage} }

type vault struct{ storage certmagic.Storage }

func (v vault) Load(ctx context.Context, name string) ([]byte, error) {
	return v.storage.Load(ctx, name)
}

// Save returns when the data is durable. Otherwise a power cut could keep a sealed request and lose its key.
func (v vault) Save(ctx context.Context, name string, data []byte) error {
	if err := v.storage.Store(ctx, name, data); err != nil {
		return err
	}
	files, ok := v.storage.(*certmagic.FileStorage)
	if !ok {
		return nil
	}
	return syncDirs(filepath.Dir(files.Filename(name)), files.Path)
}

// syncDirs syncs a directory and its parents up to a root. Caddy's file storage syncs a file, but not the directory in
// which it renames it.
func syncDirs(dir, root string) error {
	for {
		if err := durable.SyncDir(dir); err != nil {
			return err
		}
		above := filepath.Dir(dir)
		if filepath.Clean(dir) == filepath.Clean(root) || above == dir {
			return nil
		}
		dir = above
	}
}

func (v vault) Lock(ctx context.Context, name string) error   { return v.storage.Lock(ctx, name) }
func (v vault) Unlock(ctx context.Context, name string) error { return v.storage.Unlock(ctx, name) }
