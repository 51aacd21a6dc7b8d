package backup

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/store"
)

// ErrUnreadable is wrapped by the error for a file that is not a complete backup of a format this version reads.
var ErrUnreadable = errors.New("not a backup that can be restored")

// ErrNotEmpty is the error of a Restore into a store that has records.
var ErrNotEmpty = errors.New("the store to restore into is not empty")

// unfinished is the key of a record that exists while a store is being restored.
const unfinished = "restore/unfinished"

// maxLine bounds a line: the largest value in base64, plus the names.
const maxLine = store.MaxValue*4/3 + 8*store.MaxKey + 1024

// Check reads a whole backup and returns an error if it cannot be restored.
func Check(r io.Reader) (Summary, error) {
	return read(r, func(store.Record) error { return nil })
}

// Restore fills an empty store from a backup, which it first checks to the end. If it is interrupted, Unfinished
// reports so from then on, and the store has to be emptied.
func Restore(ctx context.Context, file io.ReadSeeker, into store.Store) (Summary, error) {
	summary, err := Check(file)
	if err != nil {
		return summary, err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return summary, err
	}
	if err := begin(ctx, into); err != nil {
		return summary, err
	}
	var batch store.Batch
	flush := func() error {
		err := into.Commit(ctx, batch)
		batch = store.Batch{}
		return err
	}
	summary, err = read(file, func(r store.Record) error {
		if len(batch.Then) == store.MaxOps || batch.Size()+r.Size() > store.MaxBatch {
			if err := flush(); err != nil {
				return err
			}
		}
		batch.Then = append(batch.Then, store.Op{Put: &r})
		return nil
	})
	if err != nil {
		return summary, err
	}
	if err := flush(); err != nil {
		return summary, err
	}
	return summary, into.Commit(ctx, store.Batch{Then: []store.Op{{Delete: unfinished}}})
}

// begin marks an empty store as being restored.
func begin(ctx context.Context, into store.Store) error {
	if dumper, is := into.(store.Dumper); is {
		if err := dumper.Dump(ctx, func(store.Record) error { return ErrNotEmpty }); err != nil {
			return err
		}
	}
	err := into.Commit(ctx, store.Batch{
		If: []store.Check{{Key: unfinished}}, Then: []store.Op{{Put: &store.Record{Key: unfinished}}},
	})
	var conflict *store.Conflict
	if errors.As(err, &conflict) { // another restore has just begun
		return ErrNotEmpty
	}
	return err
}

// Unfinished reports whether a restore into the store was begun and not completed, so that records may be
// missing.
func Unfinished(ctx context.Context, s store.Store) (bool, error) {
	found, err := s.Get(ctx, unfinished)
	return err == nil && found[0].Version != 0, err
}

// read parses a backup and calls each with every record. Only at the end is it known that none is missing.
func read(r io.Reader, each func(store.Record) error) (Summary, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return Summary{}, unreadable("%w", err)
	}
	lines := bufio.NewScanner(unpacked)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	if !lines.Scan() {
		return Summary{}, unreadable("file is empty or incomplete%s", because(lines.Err()))
	}
	var first head
	if err := json.Unmarshal(lines.Bytes(), &first, json.RejectUnknownMembers(true)); err != nil {
		return Summary{}, unreadable("the first line is not the header of a backup")
	}
	if first.Format < 1 || first.Format > Format {
		return Summary{}, unreadable("format is %d, and this version reads up to %d: restore with the version that made the backup, or a later one", first.Format, Format)
	}
	found := Summary{Made: first.Made}
	sum := sha256.New()
	for {
		sum.Write(lines.Bytes())
		sum.Write([]byte{'\n'})
		if !lines.Scan() {
			return found, unreadable("incomplete after %d records%s", found.Records, because(lines.Err()))
		}
		if bytes.HasPrefix(lines.Bytes(), []byte(`{"records":`)) {
			return found, end(lines, found, hex.EncodeToString(sum.Sum(nil)))
		}
		record, err := readRecord(lines.Bytes())
		if err != nil {
			return found, unreadable("record %d: %w", found.Records+1, err)
		}
		found.Records++
		if err := each(record); err != nil {
			return found, err
		}
	}
}

// end compares the trailer with what was read, and reads on to the end of the gzip stream to verify its checksum.
func end(lines *bufio.Scanner, found Summary, sum string) error {
	var last tail
	if err := json.Unmarshal(lines.Bytes(), &last, json.RejectUnknownMembers(true)); err != nil {
		return unreadable("trailer: %w", err)
	}
	if last.Records != found.Records || last.SHA256 != sum {
		return unreadable("modified after it was made: the trailer has %d records and another checksum", last.Records)
	}
	if lines.Scan() {
		return unreadable("data follows the trailer")
	}
	if lines.Err() != nil {
		return unreadable("%w", lines.Err())
	}
	return nil
}

func readRecord(b []byte) (store.Record, error) {
	var l line
	if err := json.Unmarshal(b, &l, json.RejectUnknownMembers(true)); err != nil {
		return store.Record{}, err
	}
	r := store.Record{
		Key: string(l.Key), Value: l.Value, Expires: l.Expires, Queue: string(l.Queue), Due: l.Due, Index: string(l.Index),
	}
	return r, store.Batch{Then: []store.Op{{Put: &r}}}.Validate()
}

func unreadable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnreadable, fmt.Errorf(format, args...))
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}
