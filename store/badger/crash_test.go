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

// victimDir is the variable of the environment that makes the test binary a victim.
const victimDir = "COUNTERSIGN_TEST_VICTIM_DIR"

// victim commits until it is killed, and prints the name of each batch that was acknowledged.
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

// victimBatch is three records that are there together or not at all.
func victimBatch(name string) store.Batch {
	var b store.Batch
	for _, part := range []string{"/a", "/b", "/c"} {
		b.Then = append(b.Then, store.Op{Put: &store.Record{Key: name + part, Index: name, Value: victimValue(name + part)}})
	}
	return b
}

func victimValue(key string) []byte { return bytes.Repeat([]byte(key), 300) }

// A process that is killed while it commits has kept all that it acknowledged, and nothing by half.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	var kept []string
	for _, enough := range []int{0, 1, 200} { // the next victim opens what the last one left
		kept = append(kept, kill(t, dir, enough)...)
	}
	s := open(t, Options{Dir: dir})
	if len(kept) < 200 {
		t.Fatalf("only %d batches were acknowledged", len(kept))
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
				t.Errorf("%s was acknowledged, and has %d bytes", r.Key, len(r.Value))
			}
		}
	}

	// All others, too, are whole.
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
			t.Errorf("batch %s: %d of its 3 records, %d in the index, %v", batch, n, len(listed), err)
		}
	}
}

// kill kills a victim after it has acknowledged some batches, and returns the names of all that it did. With none to
// wait for it is killed while it opens.
func kill(t *testing.T, dir string, enough int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this very binary
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
		for { // until Badger has begun to make its files
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
			t.Errorf("the victim said: %q", lines.Text())
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
