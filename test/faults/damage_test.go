package faults_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestDamage flips one bit of what the store wrote last, in the first half of it, while the gateway is down. Badger
// would open and silently drop all that follows; the gateway must refuse to start and say which file is damaged. Once
// the bit is as it was, nothing is lost.
func TestDamage(t *testing.T) {
	play(t, 3, func(t *testing.T) *world { return newWorld(t, site{}) }, func(w *world) {
		damage(w, func(file string) {
			if !gateway.Eventually(patience, func() bool { return !w.Running() }) {
				w.t.Fatal("the gateway starts on a damaged store")
			}
			for _, told := range []string{"damaged", filepath.Base(file), "countersign store"} {
				if !strings.Contains(w.LastOutput(), told) {
					w.t.Errorf("the operator is not told %q", told)
				}
			}
		})
	})
}

// damage kills the gateway, flips a bit and starts it. What follows judges that start, after which the bit is put
// right; without judgment the gateway is to go on with the damage.
func damage(w *world, judge func(file string)) {
	w.t.Helper()
	var file string
	var text []byte
	if !gateway.Eventually(patience, func() bool { // until there is something to damage
		file, text = w.writtenLast()
		return len(text) > 32<<10
	}) {
		w.t.Fatal("the store writes nothing")
	}
	w.Kill()
	file, text = w.writtenLast()
	at := 64 + rand.IntN(len(text)/2)
	bit := byte(1) << rand.IntN(8)
	flip(w.t, file, at, bit)
	if judge != nil {
		w.Spawn()
		judge(file)
		flip(w.t, file, at, bit)
	}
	w.restart()
}

// writtenLast is the store's latest log and what is written of it.
func (w *world) writtenLast() (file string, text []byte) {
	w.t.Helper()
	files, err := filepath.Glob(w.Data("countersign/store/*.mem"))
	if err != nil || len(files) == 0 {
		w.t.Fatalf("the store has no log: %v", err)
	}
	file = files[len(files)-1]
	if text, err = os.ReadFile(file); err != nil {
		w.t.Fatal(err)
	}
	return file, bytes.TrimRight(text, "\x00")
}

func flip(t testing.TB, path string, at int, bit byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	one := make([]byte, 1)
	if _, err := file.ReadAt(one, int64(at)); err != nil {
		t.Fatal(err)
	}
	one[0] ^= bit
	if _, err := file.WriteAt(one, int64(at)); err != nil {
		t.Fatal(err)
	}
}
