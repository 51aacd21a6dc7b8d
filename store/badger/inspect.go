package badger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Loss is a part of one of the store's files that Badger would drop when it opens the directory.
type Loss struct {
	File   string `json:"file"`
	Offset int    `json:"offset"` // where it starts
	Bytes  int    `json:"bytes"`  // up to the next good record, or to the end of what was written
	// Damage means that something acknowledged is lost, since something written after it is there. Otherwise the loss
	// is the unfinished end of a log: a write interrupted by a crash before it was acknowledged, or the very last
	// write, damaged. The two cannot be told apart.
	Damage bool `json:"damage"`
	// Missing describes the loss if something is missing altogether. Offset and Bytes are zero then.
	Missing string `json:"missing,omitempty"`
}

func (l Loss) String() string {
	if l.Missing != "" {
		return fmt.Sprintf("%s: %s", l.File, l.Missing)
	}
	behind := ""
	if l.Damage {
		behind = ", followed by good records"
	}
	return fmt.Sprintf("%s: %d bytes from %d on%s", l.File, l.Bytes, l.Offset, behind)
}

// Inspect reads the files of a store that nobody has open, and returns what is lost in them. Badger itself would stop
// reading a log at the first fault and silently drop the rest, would not notice a missing log, and would end the
// process at a fault in a table.
func Inspect(dir string) ([]Loss, error) {
	logs, err := readWALs(dir)
	if err != nil {
		return nil, err
	}
	losses, err := inspectManifest(filepath.Join(dir, manifestName))
	if err != nil || slices.ContainsFunc(losses, func(l Loss) bool { return l.Damage }) {
		return losses, err
	}
	missing, err := missingFiles(dir, logs)
	if err != nil {
		return nil, err
	}
	inTables, last, err := inspectTables(dir)
	if err != nil {
		return nil, err
	}
	return slices.Concat(inspectWALs(logs, last), losses, missing, inTables), nil
}

// inspectWALs checks the logs in order. Transactions are numbered without gaps.
func inspectWALs(logs []wal, last uint64) (losses []Loss) {
	for n, log := range logs {
		later := slices.ContainsFunc(logs[n+1:], func(l wal) bool { return l.whole() > 0 })
		lost := false // since the last whole transaction
		for i, s := range log.spans {
			if s.txn == 0 {
				lost = true
				losses = append(losses, Loss{
					File: log.name, Offset: s.begin, Bytes: s.end - s.begin,
					Damage: later || acknowledgedAfter(log.spans[i+1:], last),
				})
				continue
			}
			if s.txn > last+1 && !lost {
				losses = append(losses, Loss{
					File: log.name, Offset: s.begin, Damage: true,
					Missing: fmt.Sprintf("the %d transactions before it are in no file: a log or a table is missing", s.txn-last-1),
				})
			}
			last, lost = max(last, s.txn), false
		}
	}
	return losses
}

// openMark is a file that exists while the store is open, and so also after a crash: then there must be a log.
const openMark = "OPEN"

// missingFiles returns losses for required files that are missing.
func missingFiles(dir string, logs []wal) (losses []Loss, err error) {
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return nil, err
	}
	open, err := exists(filepath.Join(dir, openMark))
	if err != nil {
		return nil, err
	}
	listed, err := exists(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	if open && len(logs) == 0 {
		losses = append(losses, Loss{File: "*" + logSuffix, Damage: true, Missing: "the store was not closed, and its log is missing"})
	}
	if !listed && (len(tables) > 0 || slices.ContainsFunc(logs, func(l wal) bool { return l.whole() > 0 })) {
		losses = append(losses, Loss{File: manifestName, Damage: true, Missing: "the list of tables is missing"})
	}
	return losses, nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// acknowledgedAfter reports whether what follows a loss proves that the lost bytes had been acknowledged. The writer
// waits for the disk after each transaction, so a crash interrupts at most one. Whatever follows the loss and has
// the number after the last belongs to that one, as parts that reached the disk before others.
func acknowledgedAfter(spans []span, last uint64) bool {
	var seen uint64
	for _, s := range spans {
		switch {
		case s.txn == 0:
		case seen != 0 && s.txn != seen, s.txn > last+1:
			return true
		default:
			seen = s.txn
		}
	}
	return false
}

const logSuffix = ".mem"

// wal is one write-ahead log.
type wal struct {
	name  string
	bytes []byte
	spans []span
}

// whole returns the number of whole transactions in it.
func (w wal) whole() int {
	n := 0
	for _, s := range w.spans {
		if s.txn != 0 {
			n++
		}
	}
	return n
}

func readWALs(dir string) ([]wal, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+logSuffix))
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(paths, func(a, b string) int { return cmp.Compare(len(a), len(b)) }) // 99999 was written before 100000
	logs := make([]wal, len(paths))
	for i, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		logs[i] = wal{name: filepath.Base(path), bytes: b, spans: readWAL(b)}
	}
	return logs, nil
}

const (
	manifestName = "MANIFEST"
	manifestHead = 8 // magic text and version
	frameHead    = 8 // the length of a change set, and its CRC-32C
)

// inspectManifest reads the list of tables. Badger deletes tables that are not on it when it opens the directory, so a
// fault in the middle of the list must not be skipped.
func inspectManifest(path string) ([]Loss, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	begin := -1 // start of the loss
	for at := manifestHead; at < len(b); {
		size := readFrame(b[at:])
		switch {
		case size > frameHead && begin >= 0:
			return []Loss{{File: manifestName, Offset: begin, Bytes: at - begin, Damage: true}}, nil
		case size > 0 && begin < 0:
			at += size
		default:
			if begin < 0 {
				begin = at
			}
			at++
		}
	}
	if begin < 0 || len(bytes.TrimRight(b[begin:], "\x00")) == 0 {
		return nil, nil
	}
	return []Loss{{File: manifestName, Offset: begin, Bytes: len(b) - begin}}, nil
}

// readFrame returns the size of the change set at the start of b, or zero if there is no whole one. A set may be
// empty; it is 8 zeros then.
func readFrame(b []byte) int {
	if len(b) < frameHead {
		return 0
	}
	size := uint64(frameHead) + uint64(binary.BigEndian.Uint32(b))
	if size > uint64(len(b)) {
		return 0
	}
	if crc32.Checksum(b[frameHead:size], castagnoli) != binary.BigEndian.Uint32(b[4:]) {
		return 0
	}
	return int(size) //nolint:gosec // at most the length of b
}
