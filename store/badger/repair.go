package badger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/seed-dd2befc3/countersign/durable"
)

// Repair removes the damage from the logs of a store, so that it can be opened. It recovers nothing that is lost, but
// keeps everything after it. A transaction of which only the end is left is removed too, because a transaction is
// applied as a whole or not at all. Each log that it changes is kept under a name that is returned. The remaining
// records are moved to tables, so that the missing ones are not reported again. If interrupted, it can be repeated.
// It cannot repair the list of tables or a table: restore such a store from a backup.
func Repair(dir string, now time.Time) (losses []Loss, kept []string, err error) {
	if InUse(dir) {
		return nil, nil, fmt.Errorf("%w: %s: stop the process that has it open first", errInUse, dir)
	}
	if losses, err = Inspect(dir); err != nil {
		return nil, nil, err
	}
	damaged, lost := map[string]bool{}, false
	for _, l := range losses {
		lost = lost || l.Damage
		if l.Damage && !strings.HasSuffix(l.File, logSuffix) {
			return losses, nil, fmt.Errorf("%w beyond repair: %s: restore a backup", ErrDamaged, l)
		}
		damaged[l.File] = damaged[l.File] || l.Damage && l.Missing == ""
	}
	logs, err := readWALs(dir)
	if err != nil {
		return losses, nil, err
	}
	for _, log := range logs {
		if !damaged[log.name] {
			continue
		}
		path := filepath.Join(dir, log.name)
		aside := path + ".damaged-" + now.UTC().Format("20060102T150405Z")
		if err := replace(path, log.repaired(), aside); err != nil {
			return losses, kept, err
		}
		kept = append(kept, aside)
	}
	if lost {
		err = flush(dir)
	}
	return losses, kept, err
}

// flush makes Badger move everything in the logs to tables.
func flush(dir string) error {
	db, err := engine.Open(tuned(dir, slog.New(slog.DiscardHandler)))
	if err == nil {
		err = errors.Join(unmarkOpen(dir), db.Close())
	}
	if err != nil {
		return explain(dir, err)
	}
	return nil
}

// repaired returns the log without the lost parts.
func (w wal) repaired() []byte {
	good := append([]byte(nil), w.bytes[:walHead]...)
	lost := false
	for _, s := range w.spans {
		if s.txn != 0 && !lost {
			good = append(good, w.bytes[s.begin:s.end]...)
		}
		lost = s.txn == 0
	}
	return append(good, make([]byte, walPadded)...) // reading ends at zeros
}

// replace replaces the contents of a file and keeps the old file aside. Whenever it is interrupted, one of the two is
// there and whole.
func replace(path string, contents []byte, aside string) error {
	fresh := path + ".repaired"
	if err := writeSynced(fresh, contents); err != nil {
		return err
	}
	if err := os.Link(path, aside); err != nil {
		return fmt.Errorf("keeping the damaged log: %w", err)
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

func writeSynced(path string, contents []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(contents)
	if err == nil {
		err = durable.Sync(f)
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
