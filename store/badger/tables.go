package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	engine "github.com/dgraph-io/badger/v4"
	tables "github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
)

// inspectTables reads all tables on the list of tables, since Badger itself would end the process at some faults in them.
// (A table that is not listed was unfinished at a crash, and Badger deletes it.) It also returns the number of the
// latest transaction that the tables contain, or zero. Each transaction writes the store's records about itself, which
// only a later one replaces, so this is the latest transaction ever moved to a table.
func inspectTables(dir string) (losses []Loss, end uint64, err error) {
	ids, err := listedTables(dir)
	if err != nil {
		return nil, 0, err
	}
	for _, id := range ids {
		b, err := os.ReadFile(table.NewFilename(id, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, 0, err
		}
		if err == nil {
			var last uint64
			last, err = readTable(b)
			end = max(end, last)
		}
		if err != nil {
			losses = append(losses, Loss{File: table.IDToFilename(id), Damage: true, Missing: "a table is damaged or missing: " + err.Error()})
		}
	}
	return losses, end, nil
}

func listedTables(dir string) ([]uint64, error) {
	f, err := os.Open(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	manifest, _, err := engine.ReplayManifestFile(f, 0, engine.Options{})
	if err != nil {
		return nil, fmt.Errorf("%w: the list of tables: %w", ErrDamaged, err)
	}
	return slices.Sorted(maps.Keys(manifest.Tables)), nil
}

// readTable verifies all checksums of one table and returns the number of its latest transaction.
func readTable(b []byte) (last uint64, err error) {
	defer func() {
		if p := recover(); p != nil { // Badger panics if a length is wrong
			err = fmt.Errorf("malformed table: %v", p)
		}
	}()
	// The index, its length, a checksum, its length: Badger ends the process if these point outside of the file.
	end := uint64(len(b))
	for range 2 {
		if end < 4 {
			return 0, errors.New("table is truncated")
		}
		end -= 4
		length := uint64(binary.BigEndian.Uint32(b[end:]))
		if length == 0 || length > end {
			return 0, errors.New("the end of the table is damaged")
		}
		end -= length
	}
	read, err := table.OpenInMemoryTable(b, 1, &table.Options{ChkMode: tables.OnTableRead})
	if err != nil {
		return 0, err
	}
	return read.MaxVersion(), read.VerifyChecksum()
}
