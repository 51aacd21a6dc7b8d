package badger

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// Any bytes decode to the record whose encoding they are, or to ErrDamaged.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(encode(&store.Record{Key: "k"}))
	f.Add(encode(&store.Record{Key: "k", Value: []byte("v"), Index: "i", Queue: "q", Due: time.Unix(1, 2), Expires: time.Unix(-3, 4)}))
	f.Add(bytes.Repeat([]byte{0xff}, headSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode("k", b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want ErrDamaged", err)
			}
			return
		}
		again := encode(&r)
		setVersion(again, r.Version)
		if r.Queue != "" && !bytes.Equal(again, b) {
			t.Errorf("%x decodes to %+v, which encodes to %x, want the same bytes", b, r, again)
		}
	})
}

// Queue keys sort by time, then by key, starting with the zero time.
func TestQueueOrder(t *testing.T) {
	var keys [][]byte
	for _, due := range []time.Time{{}, time.Unix(0, -1<<63+1), time.Unix(-1, 0), time.Unix(0, 0), time.Unix(0, 1), time.Unix(0, 1<<63-1)} {
		for _, key := range []string{"a", "b", "b\x00"} {
			k := queueKey("q", ticks(due), key)
			keys = append(keys, k)
			at, name := splitQueueKey(k)
			if name != key || !instant(at).Equal(due) {
				t.Errorf("got %v %q, want %v %q", instant(at), name, due, key)
			}
		}
	}
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		t.Error("queue keys are not in order")
	}
}
