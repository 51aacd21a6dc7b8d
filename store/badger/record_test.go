package badger

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Whatever lies on the disk, it reads as the record that would be written so, or as damaged.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(encode(&store.Record{Key: "k"}))
	f.Add(encode(&store.Record{Key: "k", Value: []byte("v"), Index: "i", Queue: "q", Due: time.Unix(1, 2), Expires: time.Unix(-3, 4)}))
	f.Add(bytes.Repeat([]byte{0xff}, headSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode("k", b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%v is not ErrDamaged", err)
			}
			return
		}
		again := encode(&r)
		setVersion(again, r.Version)
		if r.Queue != "" && !bytes.Equal(again, b) {
			t.Errorf("%x reads as %+v, which is written as %x", b, r, again)
		}
	})
}

// Places in a queue sort by time, then by key, from the zero time on.
func TestQueueOrder(t *testing.T) {
	var keys [][]byte
	for _, due := range []time.Time{{}, time.Unix(0, -1<<63+1), time.Unix(-1, 0), time.Unix(0, 0), time.Unix(0, 1), time.Unix(0, 1<<63-1)} {
		for _, key := range []string{"a", "b", "b\x00"} {
			k := queueKey("q", ticks(due), key)
			keys = append(keys, k)
			at, name := splitQueueKey(k)
			if name != key || !instant(at).Equal(due) {
				t.Errorf("%v %q comes back as %v %q", due, key, instant(at), name)
			}
		}
	}
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		t.Error("the places are not in order")
	}
}
