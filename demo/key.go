package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// Vault keeps the demo's private key, so that it survives a restart and is the same on every node.
type Vault interface {
	// Load returns what was saved under the name, or an error that wraps fs.ErrNotExist.
	Load(ctx context.Context, name string) ([]byte, error)
	Save(ctx context.Context, name string, data []byte) error
	// Lock waits until nobody else holds the name.
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

const (
	realBits   = 4096        // of the key: the service's minimum for clients
	firstPause = time.Second // before the vault is tried again; doubled each time
	lastPause  = time.Minute
	saveTime   = 10 * time.Second // to save a key that was made while the demo was closed
)

// key is the demo's key and the set that publishes it.
type key struct {
	signer *jwks.Signer
	set    []byte
}

// vaultName is the name of the key in the vault.
func (d *Demo) vaultName() string { return "countersign/demo/" + d.options.ClientID + ".pem" }

// keepTrying obtains the key, however long the vault is unavailable.
func (d *Demo) keepTrying(ctx context.Context) {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		k, err := d.obtain(ctx)
		if err == nil {
			d.key.Store(k)
			d.log.LogAttrs(ctx, slog.LevelInfo, "the demo has its key",
				slog.String("client", d.options.ClientID), slog.String("kid", d.options.KID))
			return
		}
		if ctx.Err() != nil {
			return
		}
		d.log.LogAttrs(ctx, slog.LevelError, "the demo has no key yet",
			slog.String("client", d.options.ClientID), slog.Any("error", err))
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// obtain loads the key, or makes and saves it. Only one demo per vault makes one.
func (d *Demo) obtain(ctx context.Context) (*key, error) {
	if k, err := d.load(ctx); !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if err := d.options.Vault.Lock(ctx, d.vaultName()); err != nil {
		return nil, fmt.Errorf("locking the vault: %w", err)
	}
	k, err := d.loadOrMake(ctx)
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	if err := d.options.Vault.Unlock(after, d.vaultName()); err != nil {
		d.log.LogAttrs(ctx, slog.LevelWarn, "the demo's vault stays locked", slog.Any("error", err))
	}
	return k, err
}

func (d *Demo) load(ctx context.Context) (*key, error) {
	pem, err := d.options.Vault.Load(ctx, d.vaultName())
	if err != nil {
		return nil, fmt.Errorf("loading the key: %w", err)
	}
	signer, err := jwks.ParseSigner(d.options.KID, pem)
	if err != nil {
		// The file stays: somebody may have put it there and may want it back.
		return nil, fmt.Errorf("%s in the vault: %w", d.vaultName(), err)
	}
	return newKey(signer)
}

func (d *Demo) loadOrMake(ctx context.Context) (*key, error) {
	if k, err := d.load(ctx); !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	private, err := jwks.GenerateRSA(d.keyBits, d.options.Rand)
	if err != nil {
		return nil, err
	}
	signer, err := jwks.NewSigner(d.options.KID, private)
	if err != nil {
		return nil, err
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	if err := d.options.Vault.Save(after, d.vaultName(), signer.MarshalPEM()); err != nil {
		return nil, fmt.Errorf("saving the key: %w", err)
	}
	return newKey(signer)
}

func newKey(signer *jwks.Signer) (*key, error) {
	set, err := signer.PublicSet()
	if err != nil {
		return nil, err
	}
	return &key{signer: signer, set: set}, nil
}

// keySet answers GET /jwks.json.
func (d *Demo) keySet(w http.ResponseWriter, _ *http.Request) {
	k := d.key.Load()
	if k == nil {
		w.Header().Set("Retry-After", retryAfter)
		http.Error(w, "The key is being made.", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(k.set)
}
