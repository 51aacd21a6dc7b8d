package badger

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Repair takes the damage out of the logs of a store, so that it can be opened: of what is lost
// it brings nothing back, but whatever follows stays. A transaction of which only the end is left goes too, since
// it happens as a whole or not at all. Each log that it changes is kept beside, under the name that is returned.
// Damage to the list of tables or to a table is beyond it: such a store has to be restored from a backup.
func Repair(dir string, now time.Time) (losses []Loss, kept []string, err error) {
	if inUse(dir) {
		return nil, nil, fmt.Errorf("%w: %s: stop the process that has it open first", errInUse, dir)
	}
	if losses, err = Inspect(dir); err != nil {
		return nil, nil, err
	}
	damaged := map[string]bool{}
	for _, l := range losses {
		if l.Damage && l.File == manifestName {
			return losses, nil, fmt.Errorf("%w beyond repair: %s; restore a backup", ErrDamaged, l)
		}
		damaged[l.File] = damaged[l.File] || l.Damage
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
	return losses, kept, nil
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
	return os.Rename(fresh, path)
}

func writeSynced(path string, contents []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(contents)
	if err == nil {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	return err
}
