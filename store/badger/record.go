package badger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// The first byte of a Badger key is its kind. Indexes and queues are named by a hash, so that a place takes little more
// than the key. Readers of a place compare the names in the record, so a collision would only cost time.
//
//	m name                  about the store itself
//	r key                   a record
//	i hash(index) key       its place under the index; empty
//	q hash(queue) due key   its place in the queue; empty
const (
	aboutPrefix  = 'm'
	recordPrefix = 'r'
	indexPrefix  = 'i'
	queuePrefix  = 'q'

	hashSize = 16
)

func aboutKey(name string) []byte { return append([]byte{aboutPrefix}, name...) }
func recordKey(key string) []byte { return append([]byte{recordPrefix}, key...) }

func indexKey(index, key string) []byte {
	return append(hashed(indexPrefix, index), key...)
}

// queueFrom returns the first possible key of a queue for records due at or after a time.
func queueFrom(queue string, due uint64) []byte {
	return binary.BigEndian.AppendUint64(hashed(queuePrefix, queue), due)
}

func queueKey(queue string, due uint64, key string) []byte {
	return append(queueFrom(queue, due), key...)
}

// splitQueueKey returns the arguments of queueKey.
func splitQueueKey(k []byte) (due uint64, key string) {
	k = k[1+hashSize:]
	return binary.BigEndian.Uint64(k), string(k[8:])
}

func hashed(prefix byte, name string) []byte {
	sum := sha256.Sum256([]byte(name))
	return append([]byte{prefix}, sum[:hashSize]...)
}

// A record's value is: version, expiry and due time, 8 bytes each; the lengths of the queue and the index name,
// 2 bytes each; these names; and the caller's value.
const (
	versionAt = 0
	expiresAt = 8
	dueAt     = 16
	namesAt   = 24
	headSize  = 28
)

// encode leaves the version to the writer (see setVersion).
func encode(r *store.Record) []byte {
	b := make([]byte, headSize, headSize+len(r.Queue)+len(r.Index)+len(r.Value))
	binary.BigEndian.PutUint64(b[expiresAt:], ticks(r.Expires))
	if r.Queue != "" {
		binary.BigEndian.PutUint64(b[dueAt:], ticks(r.Due))
	}
	binary.BigEndian.PutUint16(b[namesAt:], uint16(len(r.Queue)))   //nolint:gosec // at most store.MaxKey
	binary.BigEndian.PutUint16(b[namesAt+2:], uint16(len(r.Index))) //nolint:gosec // at most store.MaxKey
	b = append(b, r.Queue...)
	b = append(b, r.Index...)
	return append(b, r.Value...)
}

func setVersion(encoded []byte, v store.Version) {
	binary.BigEndian.PutUint64(encoded[versionAt:], uint64(v))
}

// decode returns a record whose value is a part of b.
func decode(key string, b []byte) (store.Record, error) {
	if len(b) < headSize {
		return store.Record{}, fmt.Errorf("%w: %q", ErrDamaged, key)
	}
	queue := headSize + int(binary.BigEndian.Uint16(b[namesAt:]))
	index := queue + int(binary.BigEndian.Uint16(b[namesAt+2:]))
	if len(b) < index {
		return store.Record{}, fmt.Errorf("%w: %q", ErrDamaged, key)
	}
	return store.Record{
		Key:     key,
		Value:   b[index:],
		Version: store.Version(binary.BigEndian.Uint64(b[versionAt:])),
		Expires: instant(binary.BigEndian.Uint64(b[expiresAt:])),
		Queue:   string(b[headSize:queue]),
		Due:     instant(binary.BigEndian.Uint64(b[dueAt:])),
		Index:   string(b[queue:index]),
	}, nil
}

// ticks maps a time to a number with the same order: nanoseconds since 1678, and 0 for the zero time.
func ticks(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano()) + 1<<63 //nolint:gosec // wraps around on purpose
}

func instant(ticks uint64) time.Time {
	if ticks == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ticks+1<<63)).UTC() //nolint:gosec // wraps around on purpose
}

// never is later than every time.
const never = math.MaxUint64
