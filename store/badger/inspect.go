package badger

import (
	"bytes"
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
}

func (l Loss) String() string {
	return fmt.Sprintf("%s: %d bytes from %d on", l.File, l.Bytes, l.Offset)
}

// Inspect reads the logs in a store's directory, which nobody has open, and returns what is lost in them. Badger
// itself would stop reading at the first fault and silently cut off whatever follows. Tables are not read here:
// Badger checks the sums of all of them when it opens them.
func Inspect(dir string) ([]Loss, error) {
	logs, err := readWALs(dir)
	if err != nil {
		return nil, err
	}
	var losses []Loss
	var last uint64 // the transaction that came before, or zero
	for n, log := range logs {
		later := slices.ContainsFunc(logs[n+1:], func(l wal) bool { return l.whole() > 0 })
		for i, s := range log.spans {
			if s.txn != 0 {
				last = s.txn
				continue
			}
			losses = append(losses, Loss{
				File: log.name, Offset: s.begin, Bytes: s.end - s.begin,
				Damage: later || acknowledgedAfter(log.spans[i+1:], last),
			})
		}
	}
	inManifest, err := inspectManifest(filepath.Join(dir, manifestName))
	return append(losses, inManifest...), err
}

// acknowledgedAfter says whether what follows a loss shows that the lost bytes had been acknowledged. The writer waits
// for the disk after each transaction, so of a crash's victims there is one at most: whatever follows the loss belongs
// to the victim, as parts of it that reached the disk before others, if it carries the number after the last.
func acknowledgedAfter(spans []span, last uint64) bool {
	var seen uint64
	for _, s := range spans {
		switch {
		case s.txn == 0:
		case seen != 0 && s.txn != seen, last != 0 && s.txn > last+1:
			return true
		default:
			seen = s.txn
		}
	}
	return false
}

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
	paths, err := filepath.Glob(filepath.Join(dir, "*.mem")) // in the order in which they were written
	if err != nil {
		return nil, err
	}
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
