package jwks

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/roca"
	"github.com/seed-dd2befc3/countersign/roca/rocatest"
)

// weakKey returns a key whose private half anybody can compute.
func weakKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rocatest.Key(2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// withWeak returns a set of a good key and a weak one.
func withWeak(t *testing.T, good *Signer, weak *rsa.PublicKey) []byte {
	t.Helper()
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(publicSet(t, good), &set); err != nil {
		t.Fatal(err)
	}
	n := base64.RawURLEncoding.EncodeToString(weak.N.Bytes())
	set.Keys = append([]map[string]any{{"kty": "RSA", "kid": "chip-1", "n": n, "e": "AQAB"}}, set.Keys...)
	data, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A key with the ROCA fingerprint is left out by name; its owner's other keys stay usable.
func TestAWeakKeyIsRefusedAlone(t *testing.T) {
	weak, good := weakKey(t), testSigner(t, "good-0")
	data := withWeak(t, good, &weak.PublicKey)
	set, err := ParseSet(data)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := set.Key("good-0"); !ok || len(set.Keys()) != 1 || len(set.Skipped()) != 1 ||
		!strings.Contains(set.Skipped()[0], `"chip-1"`) || !strings.Contains(set.Skipped()[0], "CVE-2017-15361") {
		t.Errorf("got %d keys and skipped %q, want 1 and chip-1", len(set.Keys()), set.Skipped())
	}

	path := filepath.Join(t.TempDir(), "set.json")
	writeFile(t, path, data)
	var log bytes.Buffer
	registry, err := NewRegistry([]ClientKeys{{Client: "epr", SetFiles: []string{path}}}, nil,
		RegistryOptions{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "chip-1") || !strings.Contains(log.String(), "CVE-2017-15361") {
		t.Errorf("got log %q, want a warning that names chip-1 and the CVE", log.String())
	}
	mustBeWeak := func(t *testing.T, registry *Registry) {
		t.Helper()
		expectKey(t, registry, "good-0", nil)
		if _, err := registry.Key(t.Context(), "epr", "chip-1"); !errors.Is(err, ErrUnknownKID) || !errors.Is(err, roca.ErrWeak) {
			t.Errorf("weak key: got %v, want ErrUnknownKID and ErrWeak", err)
		}
		if _, err := registry.Key(t.Context(), "epr", "other"); !errors.Is(err, ErrUnknownKID) || errors.Is(err, roca.ErrWeak) {
			t.Errorf("unknown key: got %v, want ErrUnknownKID only", err)
		}
	}
	mustBeWeak(t, registry)
	withCache(t, func(t *testing.T, o *origin, cache *Cache, _ *Registry) {
		o.answer(data)
		mustBeWeak(t, eprRegistry(t, cache))
	})
}

// A weak key registered on its own is rejected by name.
func TestAWeakKeyIsNotRegistered(t *testing.T) {
	weak := weakKey(t)
	der, err := x509.MarshalPKIXPublicKey(&weak.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "chip.pem")
	writeFile(t, path, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	_, err = NewRegistry([]ClientKeys{{Client: "epr", Keys: []KeyFile{{KID: "chip-1", Path: path}}}}, nil, RegistryOptions{})
	if !errors.Is(err, roca.ErrWeak) || !strings.Contains(err.Error(), "epr") || !strings.Contains(err.Error(), path) {
		t.Errorf("weak key file: got %v, want ErrWeak with the client and the file", err)
	}
	if _, err := NewSigner("chip-1", weak); !errors.Is(err, roca.ErrWeak) {
		t.Errorf("signer with a weak key: got %v, want ErrWeak", err)
	}
}
