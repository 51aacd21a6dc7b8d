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

// Repair takes the damage out of the logs of a store, so that it can be opened: of what is lost
// it brings nothing back, but whatever follows stays. A transaction of which only the end is left goes too, since
// it happens as a whole or not at all. Each log that it changes is kept beside, under the name that is returned.
// What is left is moved to tables, so that nobody asks again for what is missing. When it is cut short it can be
// called again. Damage to the list of tables or to a table is beyond it: such a store has to be restored from a backup.
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
			return losses, nil, fmt.Errorf("%w beyond repair: %s; restore a backup", ErrDamaged, l)
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

// flush has Badger move all that the logs hold to tables.
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

// repaired is the log without what is lost in it.
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

// replace puts new contents in the place of a file that it keeps aside. Whenever it is cut short, one of the two
// stands there whole.
func replace(path string, contents []byte, aside string) error {
	fresh := path + ".repaired"
	if err := writeSynced(fresh, contents); err != nil {
		return err
	}
	if err := os.Link(path, aside); err != nil {
		return fmt.Errorf("keeping the damaged log aside: %w", err)
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
