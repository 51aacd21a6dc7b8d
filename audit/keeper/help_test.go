package keeper

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/badger"
	"github.com/seed-dd2befc3/countersign/store/memory"
	"github.com/seed-dd2befc3/countersign/store/postgres"
	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

// signer has one key.
type signer struct{ key ed25519.PrivateKey }

func newSigner(t *testing.T) signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key}
}

func (s signer) SignAll(_ context.Context, message []byte) ([]audit.Signature, error) {
	return []audit.Signature{{KID: "key-1", Value: ed25519.Sign(s.key, message)}}, nil
}

func (s signer) PublicSet(context.Context) ([]byte, error) {
	x := base64.RawURLEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
	return fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"key-1","x":%q}]}`, x), nil
}

// clock is set by hand.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.at.Load()).UTC() }
func (c *clock) forward(d time.Duration) { c.at.Add(int64(d)) }

// world is a store and the gateways that use it.
type world struct {
	*testing.T
	store  store.Store
	signer signer
	clock  *clock
	shared bool
	keep   time.Duration
	said   told
}

// told collects log lines.
type told struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *told) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *told) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// TestKeeper runs every test on every engine, since all of them must keep what is remembered.
func TestKeeper(t *testing.T) {
	tests := map[string]func(*world){
		"aLogThatIsNotAsRemembered":               aLogThatIsNotAsRemembered,
		"aLogThatIsBack":                          aLogThatIsBack,
		"aStoreThatWasRestored":                   aStoreThatWasRestored,
		"otherNodes":                              otherNodes,
		"renamed":                                 renamed,
		"twoOfOneName":                            twoOfOneName,
		"reloadsAndAStoreThatIsAway":              reloadsAndAStoreThatIsAway,
		"theStoreClosesAfterTheLastConfiguration": theStoreClosesAfterTheLastConfiguration,
		"inTheBackground":                         inTheBackground,
		"keep":                                    keep,
		"keepForEver":                             keepForEver,
		"acknowledge":                             acknowledge,
		"handedOfOthers":                          handedOfOthers,
		"handedWhileTheStoreIsAway":               handedWhileTheStoreIsAway,
	}
	run := func(engine string, open func(t *testing.T, now func() time.Time, name string) (store.Store, error)) {
		for name, test := range tests {
			t.Run(engine+"/"+name, func(t *testing.T) {
				now := &clock{}
				now.at.Store(time.Now().UnixNano())
				s, err := open(t, now.now, name)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					if err := s.Close(); err != nil {
						t.Errorf("closing the store: got %v", err)
					}
				})
				test(&world{T: t, store: s, signer: newSigner(t), clock: now})
			})
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	run("memory", func(_ *testing.T, now func() time.Time, _ string) (store.Store, error) {
		return memory.New(memory.Options{Now: now}), nil
	})
	run("badger", func(t *testing.T, now func() time.Time, _ string) (store.Store, error) {
		return badger.Open(t.Context(), badger.Options{Dir: t.TempDir(), Now: now, Logger: quiet})
	})
	server := postgrestest.Start(t)
	run("postgres", func(t *testing.T, now func() time.Time, name string) (store.Store, error) {
		return postgres.Open(t.Context(), postgres.Options{
			DSN: server.DSN(), Schema: strings.ToLower(name), Now: now, Logger: quiet, Wait: time.Minute,
		})
	})
}

// gateway starts a gateway on a directory, with a node name.
func (w *world) gateway(dir, node string) *Keeper {
	w.Helper()
	k, err := Open(audit.Options{Dir: dir, Now: w.clock.now}, w, Settings{
		Signer: w.signer, Store: w.store, Shared: w.shared, Node: node, Keep: w.keep, Logger: slog.New(slog.NewTextHandler(&w.said, nil)),
	})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = k.Close() }) // most are closed by the test
	return k
}

// records appends records and has them remembered.
func (w *world) records(k *Keeper, n int) {
	w.Helper()
	for range n {
		if _, err := k.Append(w.Context(), "signing", 1); err != nil {
			w.Fatal(err)
		}
	}
	w.settle(k)
}

// settle signs a head and runs the keeper's round after it.
func (w *world) settle(k *Keeper) {
	w.Helper()
	k.Settle(w.Context(), w.store)
	if got := k.Status().Error; got != "" {
		w.Fatal(got)
	}
}

func (w *world) stop(k *Keeper) {
	w.Helper()
	if err := k.Close(); err != nil {
		w.Fatal(err)
	}
}

// copied returns a copy of a log's directory, as a thief or a backup has it.
func (w *world) copied(dir string) string {
	w.Helper()
	to := filepath.Join(w.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		w.Fatal(err)
	}
	return to
}

// missing returns what a gateway reports of a node's log.
func missing(k *Keeper, node string) (what Finding) {
	for _, m := range k.Status().Missing {
		if m.Node == node {
			what = m.What
		}
	}
	return what
}
