package badger

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/store"
)

// victimDir is the environment variable that makes the test binary a victim.
const victimDir = "COUNTERSIGN_TEST_VICTIM_DIR"

// victim commits until it is killed, and prints the name of each acknowledged batch.
func victim(dir string) {
	s, err := Open(context.Background(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	for i := range 8 {
		go func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%d-%d-%d", os.Getpid(), i, n)
				if err := s.Commit(context.Background(), victimBatch(name)); err != nil {
					fmt.Println("error:", err)
				}
				fmt.Println("kept", name)
			}
		}()
	}
	select {}
}

// victimBatch returns three records that must exist together or not at all.
func victimBatch(name string) store.Batch {
	var b store.Batch
	for _, part := range []string{"/a", "/b", "/c"} {
		b.Then = append(b.Then, store.Op{Put: &store.Record{Key: name + part, Index: name, Value: victimValue(name + part)}})
	}
	return b
}

func victimValue(key string) []byte { return bytes.Repeat([]byte(key), 300) }

// A process killed while it commits has kept everything acknowledged, and no batch in part.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	var kept []string
	for _, enough := range []int{0, 1, 200} { // the next victim opens the store of the previous one
		kept = append(kept, kill(t, dir, enough)...)
	}
	s := open(t, Options{Dir: dir})
	if len(kept) < 200 {
		t.Fatalf("got %d acknowledged batches, too few to prove anything", len(kept))
	}
	for _, name := range kept {
		var keys []string
		for _, op := range victimBatch(name).Then {
			keys = append(keys, op.Put.Key)
		}
		records, err := s.Get(t.Context(), keys...)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if !bytes.Equal(r.Value, victimValue(r.Key)) {
				t.Errorf("acknowledged record %s: got %d bytes", r.Key, len(r.Value))
			}
		}
	}

	// All other batches are whole too.
	parts := map[string]int{}
	err := s.read(t.Context(), func(tx *transaction) error {
		for name := range tx.names([]byte{recordPrefix}, []byte{recordPrefix}) {
			batch, _, _ := strings.Cut(string(name[1:]), "/")
			parts[batch]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for batch, n := range parts {
		if listed, err := s.List(t.Context(), batch, "", 9); n != 3 || len(listed) != 3 || err != nil {
			t.Errorf("batch %s: got %d of 3 records, %d in the index, %v; want all or none", batch, n, len(listed), err)
		}
	}
}

// kill kills a victim after it has acknowledged at least enough batches, and returns the names of all acknowledged. If
// enough is zero, it is killed while it opens the store.
func kill(t *testing.T, dir string, enough int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test binary
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if enough == 0 {
		for { // until Badger starts creating its files
			if files, err := os.ReadDir(dir); err != nil || len(files) > 2 {
				break
			}
		}
		_ = cmd.Process.Kill()
	}
	var kept []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		name, ok := strings.CutPrefix(lines.Text(), "kept ")
		if !ok && enough > 0 {
			t.Errorf("victim printed %q", lines.Text())
		}
		if ok {
			kept = append(kept, name)
		}
		if len(kept) == enough {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return kept
}
