package badger

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strconv"
)

// The write-ahead log of a memtable, as Badger 4 lays it out (memtable.go and structs.go): a header about encryption,
// which is not used here, then entries back to back. The file is longer than needed and zero after the last entry. A
// transaction is its entries, each with the transaction's timestamp, and an entry that ends it:
//
//	meta (1) user meta (1) key length (uvarint) value length (uvarint) expiry (uvarint) key value CRC-32C (4)
const (
	walHead = 20
	walMark = "!badger!txn" // key of the entry that ends a transaction

	metaDeleted = 1 << 0
	metaPart    = 1 << 6 // one of several entries of a transaction
	metaEnd     = 1 << 7

	maxWALKey   = 1 << 16
	maxWALValue = 1 << 20 // the threshold above which values go to the value log
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// walEntry is one whole entry.
type walEntry struct {
	txn  uint64 // timestamp of its transaction
	ends bool
	size int
}

// readWALEntry reads the entry at the start of b, if there is a whole one that this store may have written.
func readWALEntry(b []byte) (walEntry, bool) {
	if len(b) < 2 || b[1] != 0 {
		return walEntry{}, false
	}
	meta, at := b[0], 2
	if meta != metaEnd && meta != metaPart && meta != metaPart|metaDeleted {
		return walEntry{}, false
	}
	var numbers [3]uint64 // lengths of key and value, and the expiry
	for i := range numbers {
		n, width := binary.Uvarint(b[at:])
		if width <= 0 {
			return walEntry{}, false
		}
		numbers[i], at = n, at+width
	}
	if numbers[0] <= 8 || numbers[0] > maxWALKey || numbers[1] > maxWALValue {
		return walEntry{}, false
	}
	value := at + int(numbers[0])  //nolint:gosec // bounded above
	end := value + int(numbers[1]) //nolint:gosec // bounded above
	if end+crc32.Size > len(b) || crc32.Checksum(b[:end], castagnoli) != binary.BigEndian.Uint32(b[end:]) {
		return walEntry{}, false
	}
	e := walEntry{
		txn:  math.MaxUint64 - binary.BigEndian.Uint64(b[value-8:]), // so that the newest sorts first
		ends: meta == metaEnd,
		size: end + crc32.Size,
	}
	if e.ends {
		number, err := strconv.ParseUint(string(b[value:end]), 10, 64)
		if err != nil || number != e.txn || !bytes.HasPrefix(b[at:value], []byte(walMark)) {
			return walEntry{}, false
		}
	}
	return e, true
}

// span is a part of a write-ahead log: a whole transaction or, with number zero, anything else.
type span struct {
	txn        uint64
	begin, end int
}

// readWAL splits a log into whole transactions and the parts between them. Everything after the last non-zero byte was
// never written.
func readWAL(log []byte) []span {
	log = bytes.TrimRight(log, "\x00")
	var spans []span
	lost := func(begin, end int) {
		if n := len(spans); n > 0 && spans[n-1].txn == 0 {
			spans[n-1].end = end
		} else if begin < end {
			spans = append(spans, span{begin: begin, end: end})
		}
	}
	for at := walHead; at < len(log); {
		if end, txn := readTransaction(log, at); txn != 0 {
			spans = append(spans, span{txn: txn, begin: at, end: end})
			at = end
			continue
		}
		next := at + 1
		if e, whole := readWALEntry(log[at:]); whole {
			next = at + e.size // part of a transaction whose other parts are damaged
		}
		lost(at, next)
		at = next
	}
	return spans
}

// readTransaction reads the transaction at an offset; its number is zero if it is not whole. The last CRC of a log may
// end in zeros, which trimming has removed: they belong to it.
func readTransaction(log []byte, at int) (end int, txn uint64) {
	for end = at; ; {
		e, whole := readWALEntry(padded(log, end))
		if !whole || (txn != 0 && e.txn != txn) {
			return at, 0
		}
		txn, end = e.txn, end+e.size
		if e.ends {
			return min(end, len(log)), txn
		}
	}
}

// padded returns the log from an offset on, with the zeros that an entry at its very end may have lost.
func padded(log []byte, at int) []byte {
	if at >= len(log) {
		return nil
	}
	if rest := len(log) - at; rest < walPadded {
		return append(bytes.Clone(log[at:]), make([]byte, crc32.Size)...)
	}
	return log[at:]
}

// walPadded is more than the size of the entry that ends a transaction.
const walPadded = 256
