package jwks

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
)

// Nodes that request a secret at the same time get the same one, and it never changes.
func TestSecretIsOneForAllNodes(t *testing.T) {
	vault := &memoryVault{}
	const nodes = 4
	values := make([][]byte, nodes)
	var asking sync.WaitGroup
	for n := range nodes {
		asking.Go(func() {
			value, err := NewSecret(vault, "s", nil).Bytes(t.Context())
			if err != nil {
				t.Error(err)
			}
			values[n] = value
		})
	}
	asking.Wait()
	for _, value := range values {
		if len(value) != SecretSize || !bytes.Equal(value, values[0]) {
			t.Errorf("got secrets %x and %x, want equal ones of 32 bytes", value, values[0])
		}
	}
	if vault.saves != 1 {
		t.Errorf("got %d saves, want 1", vault.saves)
	}
	other, err := NewSecret(vault, "other", nil).Bytes(t.Context())
	if err != nil || bytes.Equal(other, values[0]) {
		t.Errorf("secret of another name: got %x, %v, want a different one", other, err)
	}
}

// A vault that fails or holds something else causes an error that names the entry, never another secret.
func TestSecretThatCannotBeRead(t *testing.T) {
	vault := &memoryVault{loadErr: errors.New("away")}
	secret := NewSecret(vault, "s", nil)
	if value, err := secret.Bytes(t.Context()); err == nil || vault.saves != 0 {
		t.Errorf("vault unavailable: got %x and %d saves, want an error and none", value, vault.saves)
	}
	vault.loadErr = nil
	if _, err := secret.Bytes(t.Context()); err != nil {
		t.Errorf("vault available again: %v", err)
	}
	vault = &memoryVault{entries: map[string][]byte{"s": []byte("AAAA")}}
	if value, err := NewSecret(vault, "s", nil).Bytes(t.Context()); err == nil || !strings.Contains(err.Error(), "s in the gateway's storage is damaged") {
		t.Errorf("damaged entry: got %x, %v, want an error that says so", value, err)
	}
	vault = &memoryVault{saErr: errors.New("full")}
	if value, err := NewSecret(vault, "s", nil).Bytes(t.Context()); err == nil {
		t.Errorf("secret that cannot be saved: got %x, want an error", value)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	busy := NewSecret(&memoryVault{}, "s", nil)
	<-busy.turn
	if _, err := busy.Bytes(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Bytes after ctx ended: got %v, want context.Canceled", err)
	}
}

// During the overlap after a change both keys sign, the current one first; before and after only one does.
func TestSignAll(t *testing.T) {
	c := &clock{time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	vault := &memoryVault{}
	ring := NewRing(vault, RingOptions{Rotate: rotate, Overlap: overlap, Now: c.time})
	began := c.now
	message := []byte("message")
	first, _, err := ring.Sign(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	second := ""
	for _, step := range []struct {
		at     time.Duration
		signed int
	}{
		{0, 1}, {rotate - overlap + time.Hour, 1}, {rotate + time.Hour, 2}, {rotate + overlap - time.Hour, 2}, {rotate + overlap + time.Hour, 1},
	} {
		c.now = began.Add(step.at)
		signatures, err := ring.SignAll(t.Context(), message)
		if err != nil || len(signatures) != step.signed {
			t.Fatalf("after %s: got %d signatures and %v, want %d", step.at, len(signatures), err, step.signed)
		}
		present, _, err := ring.Sign(t.Context(), message)
		if err != nil || signatures[0].KID != present {
			t.Errorf("after %s: first signature is by %s, want the signing key %s (%v)", step.at, signatures[0].KID, present, err)
		}
		public := publishedBy(t, ring)
		for _, signature := range signatures {
			if !ed25519.Verify(public[signature.KID], message, signature.Value) {
				t.Errorf("after %s: signature by %s is invalid", step.at, signature.KID)
			}
		}
		if step.signed == 2 && signatures[1].KID != first {
			t.Errorf("after %s: second signature is by %s, want %s", step.at, signatures[1].KID, first)
		}
		second = present
	}
	if second == first {
		t.Error("the signing key never changed")
	}
}
