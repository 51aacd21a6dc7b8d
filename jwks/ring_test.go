package jwks

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// memoryVault is a Vault in memory whose operations can fail on demand.
type memoryVault struct {
	lock  sync.Mutex      // the vault's own lock
	crowd *sync.WaitGroup // if set, a caller waits for the lock until all other callers do too

	mu             sync.Mutex
	entries        map[string][]byte
	saves          int
	loadErr, saErr error
}

func (v *memoryVault) Load(_ context.Context, name string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	data, ok := v.entries[name]
	if v.loadErr != nil {
		return nil, v.loadErr
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(data), nil
}

func (v *memoryVault) Save(_ context.Context, name string, data []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.saErr != nil {
		return v.saErr
	}
	if v.entries == nil {
		v.entries = make(map[string][]byte)
	}
	v.entries[name] = slices.Clone(data)
	v.saves++
	return nil
}

func (v *memoryVault) Lock(context.Context, string) error {
	if v.crowd != nil {
		v.crowd.Done()
		v.crowd.Wait()
	}
	v.lock.Lock()
	return nil
}

func (v *memoryVault) Unlock(context.Context, string) error { v.lock.Unlock(); return nil }

const (
	day     = 24 * time.Hour
	rotate  = 90 * day
	overlap = 7 * day
)

// clock is a clock set by the test.
type clock struct{ now time.Time }

func (c *clock) time() time.Time { return c.now }

// publishedBy returns the ring's public keys by kid and checks what holds for every published key.
func publishedBy(t *testing.T, r *Ring) map[string]ed25519.PublicKey {
	t.Helper()
	data, err := r.PublicSet(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(data, &set); err != nil {
		t.Fatal(err)
	}
	keys := make(map[string]ed25519.PublicKey)
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k["x"])
		if err != nil || len(x) != ed25519.PublicKeySize || k["kty"] != "OKP" || k["crv"] != "Ed25519" || k["alg"] != "EdDSA" || k["use"] != "sig" {
			t.Fatalf("got published key %v, want an Ed25519 signing key", k)
		}
		if _, private := k["d"]; private {
			t.Fatal("the published set contains a private key")
		}
		keys[k["kid"]] = x
	}
	return keys
}

// signs signs with r, verifies with the keys that verifier publishes, and returns the kid.
func signs(t *testing.T, r, verifier *Ring) string {
	t.Helper()
	kid, sig, err := r.Sign(t.Context(), []byte("message"))
	if err != nil {
		t.Fatal(err)
	}
	public, ok := publishedBy(t, verifier)[kid]
	if !ok || !ed25519.Verify(public, []byte("message"), sig) {
		t.Fatalf("signature by %s is invalid under the published keys", kid)
	}
	return kid
}

func TestRingOverItsLife(t *testing.T) {
	vault, clock := &memoryVault{}, &clock{now: time.Unix(1700000000, 0)}
	options := RingOptions{Rotate: rotate, Overlap: overlap, Now: clock.time}
	a, b := NewRing(vault, options), NewRing(vault, options)
	start := clock.now
	at := func(d time.Duration) { clock.now = start.Add(d) }

	first := signs(t, a, b)
	if n := len(publishedBy(t, a)); n != 1 {
		t.Fatalf("got %d keys at first, want 1", n)
	}
	at(rotate - overlap - time.Minute)
	if signs(t, b, a) != first || len(publishedBy(t, b)) != 1 {
		t.Error("signing key or number of published keys changed before the next key was due")
	}
	// The next key is published for overlap before it signs.
	at(rotate - overlap)
	if signs(t, a, b) != first || len(publishedBy(t, a)) != 2 || len(publishedBy(t, b)) != 2 {
		t.Error("next key: want it published by both nodes and not signing yet")
	}
	at(rotate - time.Second)
	if signs(t, a, b) != first || signs(t, b, a) != first {
		t.Error("a node changed its signing key before the first key's time was over")
	}
	at(rotate)
	second := signs(t, a, b)
	if second == first || signs(t, b, a) != second {
		t.Error("want both nodes to sign with the second key")
	}
	at(rotate + overlap - time.Second)
	if _, there := publishedBy(t, b)[first]; !there {
		t.Error("former key is no longer published during the overlap")
	}
	at(rotate + overlap + time.Minute)
	if keys := publishedBy(t, b); len(keys) != 1 || keys[second] == nil {
		t.Errorf("got %d keys after the overlap, want only the second", len(keys))
	}
	if vault.saves != 2 {
		t.Errorf("got %d saves, want one per key, 2", vault.saves)
	}

	// After a year without use the next key is still published for overlap before it signs.
	at(rotate + 365*day)
	if signs(t, a, b) != second || len(publishedBy(t, b)) != 2 {
		t.Error("late next key: want it published and not signing yet")
	}
	at(rotate + 365*day + overlap)
	third := signs(t, a, b)
	if third == second || signs(t, b, a) != third {
		t.Error("want both nodes to sign with the third key")
	}
	// Keys that are gone are removed from the vault when the next key is generated.
	at(rotate + 365*day + overlap + rotate)
	signs(t, a, b)
	if strings.Contains(string(vault.entries["countersign/keys.json"]), first) {
		t.Error("vault still contains a key that is gone")
	}
}

func TestRingsMakeOneKeyTogether(t *testing.T) {
	kids := make([]string, 20)
	vault := &memoryVault{crowd: &sync.WaitGroup{}}
	vault.crowd.Add(len(kids)) // every ring sees an empty vault before the first key is generated
	var wg sync.WaitGroup
	for i := range kids {
		wg.Go(func() {
			kid, _, err := NewRing(vault, RingOptions{}).Sign(t.Context(), nil)
			if err != nil {
				t.Error(err)
			}
			kids[i] = kid
		})
	}
	wg.Wait()
	if len(slices.Compact(kids)) != 1 || vault.saves != 1 {
		t.Errorf("got %d saves and kids %v, want 1 save and one kid", vault.saves, kids)
	}
}

func TestRingRemembersForAMinute(t *testing.T) {
	vault, clock := &memoryVault{}, &clock{now: time.Unix(1700000000, 0)}
	ring := NewRing(vault, RingOptions{Now: clock.time})
	signs(t, ring, ring)
	vault.loadErr = errors.New("storage is away")
	clock.now = clock.now.Add(59 * time.Second)
	signs(t, ring, ring)
	clock.now = clock.now.Add(time.Second)
	if _, _, err := ring.Sign(t.Context(), nil); !errors.Is(err, vault.loadErr) {
		t.Errorf("got %v, want %v", err, vault.loadErr)
	}
}

func TestRingSignsOnWhereTheNextKeyCannotBeSaved(t *testing.T) {
	vault, clock := &memoryVault{}, &clock{now: time.Unix(1700000000, 0)}
	vault.saErr = errors.New("read-only")
	ring := NewRing(vault, RingOptions{Rotate: rotate, Overlap: overlap, Now: clock.time})
	if _, _, err := ring.Sign(t.Context(), nil); !errors.Is(err, vault.saErr) {
		t.Errorf("signing while the first key cannot be saved: got %v, want %v", err, vault.saErr)
	}
	vault.saErr = nil
	first := signs(t, ring, ring)
	vault.saErr = errors.New("read-only")
	clock.now = clock.now.Add(rotate + day)
	if signs(t, ring, ring) != first || len(publishedBy(t, ring)) != 1 {
		t.Error("want the current key to keep signing, and to be the only one published")
	}
}

func TestDamagedVaultIsAnErrorAndStays(t *testing.T) {
	good := &memoryVault{}
	ring := NewRing(good, RingOptions{})
	signs(t, ring, ring)
	entry := string(good.entries["countersign/keys.json"])
	var parsed struct{ Keys []struct{ Seed string } }
	if err := json.Unmarshal([]byte(entry), &parsed); err != nil {
		t.Fatal(err)
	}
	seed := parsed.Keys[0].Seed
	for name, damaged := range map[string]string{
		"empty": "", "null": "null", "no keys": `{"version":1,"keys":[]}`, "cut off": entry[:len(entry)/2],
		"version": strings.Replace(entry, `"version":1`, `"version":2`, 1), "unknown member": strings.Replace(entry, `"version"`, `"x":1,"version"`, 1),
		"another seed": strings.Replace(entry, seed, base64.StdEncoding.EncodeToString(make([]byte, 32)), 1),
		"short seed":   strings.Replace(entry, seed, "AAAA", 1), "trailing": entry + "x",
		"same key twice": strings.Replace(entry, `"keys":[`, `"keys":[`+entry[strings.Index(entry, "[")+1:strings.Index(entry, "]")]+",", 1),
	} {
		vault := &memoryVault{entries: map[string][]byte{"countersign/keys.json": []byte(damaged)}}
		_, _, err := NewRing(vault, RingOptions{}).Sign(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "damaged") || strings.Contains(err.Error(), seed) {
			t.Errorf("%s: got %v, want an error that says damaged and reveals no key", name, err)
		}
		if string(vault.entries["countersign/keys.json"]) != damaged {
			t.Errorf("%s: the damaged entry was replaced", name)
		}
	}
}

// TestRingStatus follows a ring's keys through their states. Status must not generate any.
func TestRingStatus(t *testing.T) {
	vault, clock := &memoryVault{}, &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	ring := NewRing(vault, RingOptions{Rotate: rotate, Overlap: overlap, Now: clock.time})
	status := func() []RingKeyStatus {
		t.Helper()
		all, err := ring.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if got := status(); got == nil || len(got) != 0 || vault.saves != 0 {
		t.Fatalf("status before first use: got %v and %d saves, want an empty list and none", got, vault.saves)
	}
	publishedBy(t, ring)
	began := clock.now
	if got := status(); len(got) != 1 || got[0].State != "signing" || !got[0].From.Equal(began) || !got[0].Until.Equal(began.Add(rotate)) {
		t.Errorf("first key: got %+v, want it signing from the start, for rotate", got)
	}
	clock.now = began.Add(rotate - overlap)
	publishedBy(t, ring)
	if got := status(); len(got) != 2 || got[0].State != "signing" || got[1].State != "next" || !got[0].Until.Equal(got[1].From) {
		t.Errorf("before the change: got %+v, want signing and next", got)
	}
	clock.now = began.Add(rotate)
	if got := status(); len(got) != 2 || got[0].State != "former" || got[1].State != "signing" {
		t.Errorf("after the change: got %+v, want former and signing", got)
	}
	vault.loadErr = errors.New("away")
	if _, err := ring.Status(t.Context()); err == nil {
		t.Error("status without a vault: got no error, want one")
	}
}
