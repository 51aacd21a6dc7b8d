package mocksigner_test

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/mocksigner"
)

// vault is a mocksigner.Vault in memory.
type vault struct {
	turn chan struct{} // holds one token while locked

	mu    sync.Mutex
	kept  map[string][]byte
	saves int
}

func newVault() *vault { return &vault{turn: make(chan struct{}, 1), kept: map[string][]byte{}} }

func (v *vault) Load(_ context.Context, name string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	value, ok := v.kept[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(value), nil
}

func (v *vault) Save(_ context.Context, name string, value []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.turn) == 0 {
		return errors.New("saved without holding the lock")
	}
	v.kept[name] = slices.Clone(value)
	v.saves++
	return nil
}

func (v *vault) Lock(ctx context.Context, _ string) error {
	select {
	case v.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *vault) Unlock(context.Context, string) error {
	<-v.turn
	return nil
}

func loadCA(t *testing.T, v mocksigner.Vault) *mocksigner.CA {
	t.Helper()
	ca, err := mocksigner.LoadCA(t.Context(), v, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestLoadCA(t *testing.T) {
	v := newVault()
	t.Run("nodes that start together share one", func(t *testing.T) {
		serials := make(chan string, 8)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() { serials <- loadCA(t, v).Certificate().SerialNumber.String() })
		}
		group.Wait()
		close(serials)
		first := <-serials
		for s := range serials {
			if s != first {
				t.Error("got two CAs, want one")
			}
		}
		if v.saves != 2 {
			t.Errorf("got %d saves", v.saves)
		}
	})
	t.Run("what it is", func(t *testing.T) {
		cert := loadCA(t, v).Certificate()
		if !strings.HasPrefix(cert.Subject.CommonName, "Countersign mock CA ") || !cert.IsCA || !cert.MaxPathLenZero || cert.MaxPathLen != 0 ||
			cert.NotAfter.Sub(cert.NotBefore) < 10*365*24*time.Hour || cert.NotBefore.After(time.Now().Add(-24*time.Hour)) || !strings.HasSuffix(cert.Subject.String(), ",O=Countersign MOCK - not for clinical use") {
			t.Errorf("%+v", cert)
		}
		if other := loadCA(t, newVault()).Certificate(); other.Subject.String() == cert.Subject.String() || other.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			t.Error("two installations have the same CA name")
		}
	})
	t.Run("half of one is none", func(t *testing.T) {
		half := newVault()
		half.kept[mocksigner.CAKeyName] = v.kept[mocksigner.CAKeyName]
		loadCA(t, half)
		if len(half.kept) != 2 {
			t.Error("half a CA was not replaced")
		}
	})
	t.Run("an expired one is replaced", func(t *testing.T) {
		later := func() time.Time { return time.Now().Add(11 * 365 * 24 * time.Hour) }
		old := &vault{turn: make(chan struct{}, 1), kept: maps.Clone(v.kept)}
		ca, err := mocksigner.LoadCA(t.Context(), old, later, nil)
		if err != nil || !ca.Certificate().NotAfter.After(later()) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a broken one is left alone", func(t *testing.T) {
		other := newVault()
		loadCA(t, other)
		for what, spoil := range map[string]func(map[string][]byte){
			"another's key":    func(m map[string][]byte) { m[mocksigner.CAKeyName] = other.kept[mocksigner.CAKeyName] },
			"no PEM":           func(m map[string][]byte) { m[mocksigner.CACertName] = []byte("x") },
			"two certificates": func(m map[string][]byte) { c := m[mocksigner.CACertName]; m[mocksigner.CACertName] = append(c, c...) },
		} {
			broken := &vault{turn: make(chan struct{}, 1), kept: map[string][]byte{}}
			for name, value := range v.kept {
				broken.kept[name] = slices.Clone(value)
			}
			spoil(broken.kept)
			if _, err := mocksigner.LoadCA(t.Context(), broken, nil, nil); err == nil || broken.saves > 0 || len(broken.turn) > 0 {
				t.Errorf("%s: got error %v, %d saves, locked %d", what, err, broken.saves, len(broken.turn))
			}
		}
	})
	t.Run("a vault that fails", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		busy := newVault()
		busy.turn <- struct{}{}
		if _, err := mocksigner.LoadCA(ctx, busy, nil, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v", err)
		}
	})
}
