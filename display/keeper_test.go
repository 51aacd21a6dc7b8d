package display

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/prescription"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/backup"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// vault keeps entries in memory, as Caddy's storage does on disk.
type vault struct {
	lock sync.Mutex
	mu   sync.Mutex
	all  map[string][]byte
	err  error
}

func (v *vault) Load(_ context.Context, name string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		return nil, v.err
	}
	data, ok := v.all[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(data), nil
}

func (v *vault) Save(_ context.Context, name string, data []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.err != nil {
		return v.err
	}
	v.all[name] = bytes.Clone(data)
	return nil
}

func (v *vault) Lock(context.Context, string) error {
	v.lock.Lock()
	return nil
}

func (v *vault) Unlock(context.Context, string) error {
	v.lock.Unlock()
	return nil
}

// world is a store and a vault, and a clock that is moved by hand.
type world struct {
	testing.TB
	store *memory.Store
	vault *vault
	now   time.Time
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, vault: &vault{all: map[string][]byte{}}, now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)}
	w.store = memory.New(memory.Options{Now: func() time.Time { return w.now }})
	t.Cleanup(func() { _ = w.store.Close() })
	return w
}

// node is one gateway of the world.
func (w *world) node(perClient int) *Keeper {
	w.Helper()
	k, err := New(Options{Store: w.store, Vault: w.vault, Now: func() time.Time { return w.now }, PerClient: perClient})
	if err != nil {
		w.Fatal(err)
	}
	return k
}

// prepared is a prescription of the recorded cases, prepared at the world's time.
func (w *world) prepared(name string) prescription.Prepared {
	w.Helper()
	data, err := os.ReadFile("../prescription/testdata/eps/bundles/" + name + ".json")
	if err != nil {
		w.Fatal(err)
	}
	b, err := prescription.ReadBundle(data)
	if err != nil {
		w.Fatal(err)
	}
	made, outcome := prescription.Prepare(b, prescription.MayPrescribe, client.RS256, w.now)
	if outcome != nil {
		w.Fatal(outcome.Issues)
	}
	return made
}

func (w *world) keep(k *Keeper, of string, p prescription.Prepared) {
	w.Helper()
	if err := k.Keep(w.Context(), of, p.SignedInfo, p.Fragments); err != nil {
		w.Fatal(err)
	}
}

// shows returns the patient's NHS number of each payload that is shown, "" of the others.
func (w *world) shows(k *Keeper, of string, payloads ...[]byte) string {
	w.Helper()
	found, _, err := k.Find(w.Context(), of, "nobody", payloads, w.now)
	if err != nil {
		w.Fatal(err)
	}
	var shown []string
	for _, p := range found {
		if p == nil {
			shown = append(shown, "")
		} else {
			shown = append(shown, p.Patient.NHSNumber)
		}
	}
	return strings.Join(shown, ",")
}

const simple = "acute-one-item"

// What is kept is shown to the same client for the same payload, by any node and after a restart, and to nobody else.
func TestKeepAndFind(t *testing.T) {
	w := newWorld(t)
	p := w.prepared(simple)
	w.keep(w.node(0), "a", p)
	other := w.node(0)
	shown := w.shows(other, "a", []byte("no payload"), p.SignedInfo)
	if len(shown) != len(",9990000018") {
		t.Errorf("shows %q, want nothing and one patient", shown)
	}
	w.now = w.now.Add(time.Second)
	later := w.prepared(simple) // the same prescription, another second
	for what, got := range map[string]string{
		"another client":  w.shows(other, "b", p.SignedInfo),
		"another payload": w.shows(other, "a", later.SignedInfo),
		"a shifted name":  w.shows(other, "a"+string(p.SignedInfo[:1]), p.SignedInfo[1:]),
	} {
		if got != "" {
			t.Errorf("%s is shown %q", what, got)
		}
	}
	if err := other.Keep(t.Context(), "a", later.SignedInfo, p.Fragments); !errors.Is(err, prescription.ErrDigest) {
		t.Errorf("fragments of another payload: %v", err)
	}
}

// The store, a backup of it and all digests open nothing, and hold no word of a prescription.
func TestTheStoreAloneOpensNothing(t *testing.T) {
	w := newWorld(t)
	p := w.prepared(simple)
	w.keep(w.node(0), "a", p)
	records := 0
	err := w.store.Dump(t.Context(), func(r store.Record) error {
		records++
		for _, word := range []string{p.Digest(), base64.StdEncoding.EncodeToString(p.Fragments), "ASHDOWN", "9990000018", "urn:hl7-org:v3"} {
			if strings.Contains(r.Key+string(r.Value)+r.Index, word) {
				t.Errorf("the store has %.40q", word)
			}
		}
		return nil
	})
	if err != nil || records != 1 {
		t.Fatalf("%d records, %v", records, err)
	}
	var saved bytes.Buffer
	if summary, err := backup.Write(t.Context(), &saved, w.store, w.now); err != nil || summary.Records != 0 {
		t.Errorf("a backup has %d records, %v; want none", summary.Records, err)
	}
	w.vault = &vault{all: map[string][]byte{}} // whoever has everything but the vault
	thief := w.node(0)
	w.keep(thief, "thief", p) // has a secret of its own
	if got := w.shows(thief, "a", p.SignedInfo); got != "" {
		t.Errorf("without the vault %q is shown", got)
	}
}

// What has been changed in the store, bit by bit, or moved to another place, shows nothing.
func TestAlteredRecordsShowNothing(t *testing.T) {
	w := newWorld(t)
	k := w.node(0)
	p := w.prepared(simple)
	w.keep(k, "a", p)
	key := place{"a", p.SignedInfo}.key()
	records, err := w.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	put := func(key string, value []byte) {
		t.Helper()
		record := store.Record{Key: key, Value: value, Expires: w.now.Add(time.Hour)}
		if err := w.store.Commit(t.Context(), store.Batch{Then: []store.Op{{Put: &record}}}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range records[0].Value {
		altered := bytes.Clone(records[0].Value)
		altered[i] ^= 1 << (i % 8)
		put(key, altered)
		if got := w.shows(k, "a", p.SignedInfo); got != "" {
			t.Fatalf("with byte %d changed %q is shown", i, got)
		}
	}
	for _, short := range [][]byte{{}, records[0].Value[:1], records[0].Value[:headerSize], records[0].Value[:headerSize+20]} {
		put(key, short)
		if got := w.shows(k, "a", p.SignedInfo); got != "" {
			t.Errorf("%d bytes show %q", len(short), got)
		}
	}
	put(place{"b", p.SignedInfo}.key(), records[0].Value)
	if got := w.shows(k, "b", p.SignedInfo); got != "" {
		t.Errorf("moved to another client %q is shown", got)
	}
	put(key, records[0].Value)
	if got := w.shows(k, "a", p.SignedInfo); got == "" {
		t.Error("as it was kept, nothing is shown")
	}
}

// A display lives for a day, or for as long as a session needs it.
func TestLife(t *testing.T) {
	w := newWorld(t)
	k := w.node(0)
	short, long := w.prepared(simple), w.prepared("controlled-drug")
	w.keep(k, "a", short)
	w.keep(k, "a", long)
	w.now = w.now.Add(DefaultLife - time.Minute)
	if _, _, err := k.Find(t.Context(), "a", "nobody", [][]byte{long.SignedInfo}, w.now.Add(30*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(2 * time.Minute)
	if got := w.shows(w.node(0), "a", short.SignedInfo, long.SignedInfo); got == "," || !strings.HasPrefix(got, ",") {
		t.Errorf("after a day %q is shown, want the second alone", got)
	}
	w.now = w.now.Add(30 * time.Hour)
	if got := w.shows(w.node(0), "a", long.SignedInfo); got != "" {
		t.Errorf("after the session %q is shown", got)
	}
}

// There is a secret for each day. It is destroyed with the last display that it protects, and not before.
func TestSecretsAreDestroyed(t *testing.T) {
	w := newWorld(t)
	k := w.node(0)
	start := w.now
	var kept [][]byte
	for day := range 4 {
		w.now = start.Add(time.Duration(day) * 25 * time.Hour)
		p := w.prepared(simple)
		w.keep(k, "a", p)
		kept = append(kept, p.SignedInfo)
		for _, payload := range kept[max(0, len(kept)-1):] {
			if got := w.shows(w.node(0), "a", payload); got == "" {
				t.Errorf("day %d: what was kept is not shown", day)
			}
		}
		if has := bytes.Count(w.vault.all[SecretsName], []byte(`"id"`)); has > 2 {
			t.Errorf("day %d: there are %d secrets, want 2 at most", day, has)
		}
	}
	before := bytes.Clone(w.vault.all[SecretsName])
	w.now = w.now.Add(47 * time.Hour)
	if err := w.node(0).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if has := bytes.Count(w.vault.all[SecretsName], []byte(`"id"`)); has != 1 {
		t.Errorf("while the last secret may still protect something there are %d, want 1", has)
	}
	w.now = w.now.Add(2 * time.Hour)
	if err := w.node(0).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := string(w.vault.all[SecretsName]); got != "[]" {
		t.Errorf("at the end the vault has %q, which was %q", got, before)
	}
}

// Nodes that begin at the same time seal with one secret.
func TestNodesShareSecrets(t *testing.T) {
	w := newWorld(t)
	p := w.prepared(simple)
	var keeping sync.WaitGroup
	for n := range 4 {
		k := w.node(0)
		keeping.Go(func() {
			if err := k.Keep(t.Context(), fmt.Sprint(n), p.SignedInfo, p.Fragments); err != nil {
				t.Error(err)
			}
		})
	}
	keeping.Wait()
	if has := bytes.Count(w.vault.all[SecretsName], []byte(`"id"`)); has != 1 {
		t.Errorf("got %d secrets, want 1", has)
	}
	k := w.node(0)
	for n := range 4 {
		if got := w.shows(k, fmt.Sprint(n), p.SignedInfo); got == "" {
			t.Errorf("node %d's display is not shown", n)
		}
	}
}

// A vault that fails, or is damaged, shows nothing and says so: it never makes another secret.
func TestVaultFails(t *testing.T) {
	w := newWorld(t)
	p := w.prepared(simple)
	w.keep(w.node(0), "a", p)
	before := bytes.Clone(w.vault.all[SecretsName])
	w.vault.err = errors.New("away")
	if _, _, err := w.node(0).Find(t.Context(), "a", "nobody", [][]byte{p.SignedInfo}, w.now); err == nil {
		t.Error("without the vault there is no error")
	}
	if err := w.node(0).Keep(t.Context(), "a", p.SignedInfo, p.Fragments); err == nil {
		t.Error("without the vault something is kept")
	}
	w.vault.err = nil
	for _, damaged := range []string{"{", `[{"id":"00"}]`, `[{"id":"0011223344556677","value":"AAAA"}]`} {
		w.vault.all[SecretsName] = []byte(damaged)
		if err := w.node(0).Keep(t.Context(), "a", p.SignedInfo, p.Fragments); err == nil {
			t.Errorf("with %s something is kept", damaged)
		}
	}
	w.vault.all[SecretsName] = before
	if got := w.shows(w.node(0), "a", p.SignedInfo); got == "" {
		t.Error("once the vault is back, nothing is shown")
	}
}

// A client has no more displays than it may have, and room again once some have expired. Others are not concerned.
func TestQuota(t *testing.T) {
	w := newWorld(t)
	k := w.node(3)
	p := w.prepared(simple)
	for _, name := range []string{simple, "controlled-drug", "doctor-name-text"} {
		w.keep(k, "a", w.prepared(name))
	}
	fourth := w.prepared("dosage-sequence")
	if err := k.Keep(t.Context(), "a", fourth.SignedInfo, fourth.Fragments); !errors.Is(err, ErrFull) {
		t.Errorf("the fourth of three: %v", err)
	}
	if err := w.node(3).Keep(t.Context(), "a", fourth.SignedInfo, fourth.Fragments); !errors.Is(err, ErrFull) {
		t.Errorf("at another node: %v", err)
	}
	w.keep(k, "b", p)
	w.now = w.now.Add(DefaultLife + time.Minute)
	w.keep(k, "a", w.prepared(simple))
}

// A prescription that is larger than a record is refused as such.
func TestTooLarge(t *testing.T) {
	w := newWorld(t)
	p, err := prescription.ReadFragments(w.prepared(simple).Fragments)
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 0, 700<<10) // that compresses badly
	for i := uint64(1); len(text) < cap(text); i = i*6364136223846793005 + 1442695040888963407 {
		text = append(text, 'a'+byte(i>>59)%26)
	}
	p.Items[0].Dosage = string(text)
	fragments := p.Fragments()
	info, _, err := client.SignedInfo(client.RS256, fragments)
	if err != nil {
		t.Fatal(err)
	}
	err = w.node(0).Keep(t.Context(), "a", info, fragments)
	if err != nil && !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want it kept or ErrTooLarge", err)
	}
	if err == nil && w.shows(w.node(0), "a", info) == "" {
		t.Error("it was kept, and is not shown")
	}
}
