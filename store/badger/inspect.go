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

// Loss is a stretch of one of the store's files that Badger would drop when it opens the directory.
type Loss struct {
	File   string `json:"file"`
	Offset int    `json:"offset"` // where it begins
	Bytes  int    `json:"bytes"`  // from there on to the next record that is good, or to the end of what was written
	// Damage says that something that was acknowledged is lost, since what was written after it is there. Otherwise it
	// is the unfinished end of a log: a write that a crash cut off before anybody was told of it, or else the very last
	// one, damaged; the two cannot be told apart.
	Damage bool `json:"damage"`
	// Missing says what is not there at all, where that is the loss. Nothing stands in its place then.
	Missing string `json:"missing,omitempty"`
}

func (l Loss) String() string {
	if l.Missing != "" {
		return fmt.Sprintf("%s: %s", l.File, l.Missing)
	}
	behind := ""
	if l.Damage {
		behind = ", with good records behind them"
	}
	return fmt.Sprintf("%s: %d bytes from %d on%s", l.File, l.Bytes, l.Offset, behind)
}

// Inspect reads the files in a store's directory, which nobody has open, and returns what is lost in them. Badger
// itself would stop reading a log at the first fault and silently cut off whatever follows, would not miss a log that
// has gone, and would end the process at a fault in a table.
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

// inspectWALs goes through the logs, in order. Transactions are numbered without a gap.
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
					Missing: fmt.Sprintf("the %d transactions before it are in no file: a log or a table has gone", s.txn-last-1),
				})
			}
			last, lost = max(last, s.txn), false
		}
	}
	return losses
}

// openMark is a file that stands in the directory while the store is open, so after a crash too: then there is a log.
const openMark = "OPEN"

// missingFiles says which files have gone of which there must be one.
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
		losses = append(losses, Loss{File: "*" + logSuffix, Damage: true, Missing: "the store was not closed, and its log has gone"})
	}
	if !listed && (len(tables) > 0 || slices.ContainsFunc(logs, func(l wal) bool { return l.whole() > 0 })) {
		losses = append(losses, Loss{File: manifestName, Damage: true, Missing: "the list of tables has gone"})
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

// acknowledgedAfter says whether what follows a loss shows that the lost bytes had been acknowledged. The writer waits
// for the disk after each transaction, so of a crash's victims there is one at most: whatever follows the loss belongs
// to the victim, as parts of it that reached the disk before others, if it carries the number after the last.
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

// whole is the number of whole transactions in it.
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
	manifestHead = 8 // what it is, and of which version
	frameHead    = 8 // the length of a set of changes, and its CRC-32C
)

// inspectManifest reads the list of tables. A table that it does not name is deleted when Badger opens the
// directory, so a fault in the middle of it is not to be passed over.
func inspectManifest(path string) ([]Loss, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	begin := -1 // of what is lost
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

// readFrame is the size of the set of changes at the beginning of b, or zero if no whole one stands there. A set may
// be empty, and is 8 zeros then.
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
