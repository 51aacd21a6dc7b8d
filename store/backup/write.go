package backup

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/store"
)

// Format is the format that this version writes, and the latest that it reads.
const Format = 1

// head is the header, the first line.
type head struct {
	Format int       `json:"format"`
	Made   time.Time `json:"made"`
}

// line is one record.
type line struct {
	Key     []byte    `json:"key"` // keys are any bytes
	Value   []byte    `json:"value"`
	Expires time.Time `json:"expires,omitzero"`
	Queue   []byte    `json:"queue,omitempty"`
	Due     time.Time `json:"due,omitzero"`
	Index   []byte    `json:"index,omitempty"`
}

// tail is the trailer, the last line.
type tail struct {
	Records int    `json:"records"`
	SHA256  string `json:"sha256"`
}

// Summary describes a backup.
type Summary struct {
	Made    time.Time `json:"made"`
	Records int       `json:"records"`
}

// Write writes a backup of one snapshot of the store, while others go on using it. It leaves out volatile records
// (store.Volatile).
func Write(ctx context.Context, w io.Writer, from store.Dumper, now time.Time) (Summary, error) {
	packed := gzip.NewWriter(w)
	out := writer{w: packed, sum: sha256.New()}
	made := Summary{Made: now.UTC()}
	if err := out.line(head{Format: Format, Made: made.Made}); err != nil {
		return made, err
	}
	err := from.Dump(ctx, func(r store.Record) error {
		if strings.HasPrefix(r.Key, store.Volatile) {
			return nil
		}
		made.Records++
		return out.line(line{
			Key: []byte(r.Key), Value: r.Value, Expires: r.Expires, Queue: []byte(r.Queue), Due: r.Due, Index: []byte(r.Index),
		})
	})
	if err != nil {
		return made, err
	}
	if err := out.line(tail{Records: made.Records, SHA256: hex.EncodeToString(out.sum.Sum(nil))}); err != nil {
		return made, err
	}
	return made, packed.Close()
}

// writer writes lines and hashes them.
type writer struct {
	w   io.Writer
	sum hash.Hash
}

func (w writer) line(value any) error {
	b, err := json.Marshal(value)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	_, _ = w.sum.Write(b) // never fails
	_, err = w.w.Write(b)
	return err
}
