package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-dd2befc3/countersign/durable"
)

// File is one file of a log that is written no more.
type File struct {
	Name string    `json:"file"`
	Last uint64    `json:"last"` // number of its last entry
	Hash string    `json:"hash"` // of that entry: it stands for everything in the file, and before
	Time time.Time `json:"time"` // its entries are not younger
}

// Closed lists the files of a log that are written no more, the oldest first.
func Closed(dir string) ([]File, error) {
	_, names, err := fileNames(dir)
	if err != nil {
		return nil, err
	}
	var closed []File
	for i := 1; i < len(names); i++ {
		next, found, err := firstEntry(filepath.Join(dir, names[i]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", names[i], err)
		}
		if !found { // a crash left it so: nothing says yet how the file before it ends
			break
		}
		closed = append(closed, File{Name: names[i-1], Last: next.Seq - 1, Hash: next.Prev, Time: next.Time})
	}
	return closed, nil
}

// removal is the record of a removal: the data of a kindRemoved.
type removal struct {
	Files []File `json:"files"`
	Why   any    `json:"why"`
}

// Remove deletes the oldest files of the log, behind a record of them that a head signs: Verify accepts that they are
// missing because it finds that record. The files are the first of those that Closed lists; why they may go is for the
// caller to know, and is recorded. Nothing is removed while a hold stands.
func (l *Log) Remove(ctx context.Context, files []File, why any) error {
	return l.do(ctx, func(ctx context.Context) error {
		if err := l.removable(files); err != nil {
			return err
		}
		data, err := json.Marshal(removal{Files: files, Why: why})
		if err != nil {
			return err
		}
		if err := l.add(Entry{Kind: kindRemoved, Data: data}); err != nil {
			return err
		}
		if err := l.trySign(ctx); err != nil {
			return fmt.Errorf("nothing was removed, since no head signs the record of it: %w", err)
		}
		for _, file := range files {
			if err := l.notHeld(); err != nil {
				return err
			}
			if err := os.Remove(filepath.Join(l.Dir, file.Name)); err != nil {
				return err
			}
		}
		return durable.SyncDir(l.Dir)
	})
}

// removable checks that the files are the oldest of the log.
func (l *Log) removable(files []File) error {
	if err := l.notHeld(); err != nil {
		return err
	}
	closed, err := Closed(l.Dir)
	if err != nil {
		return err
	}
	for i, file := range files {
		if i >= len(closed) || closed[i].Name != file.Name || closed[i].Hash != file.Hash {
			return fmt.Errorf("%s is not among the oldest files of the log", file.Name)
		}
	}
	return nil
}

// ErrHeld is what keeps files from being removed while a hold stands.
var ErrHeld = errors.New("nothing is removed from the audit log: a hold stands")

func (l *Log) notHeld() error {
	held, err := Held(l.Dir)
	if err == nil && held != nil {
		err = ErrHeld
	}
	return err
}

// Hold says why nothing may be removed.
type Hold struct {
	Since  time.Time `json:"since,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

func holdPath(dir string) string { return filepath.Join(dir, "hold") }

// Held returns the hold that stands, or nil. It is a file beside the log's, so whoever can write there can place one while
// no gateway runs; what the file holds is for people.
func Held(dir string) (*Hold, error) {
	text, err := os.ReadFile(holdPath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	hold := &Hold{}
	if err != nil || json.Unmarshal(text, hold) != nil {
		return &Hold{}, nil // one that cannot be read holds as well
	}
	return hold, nil
}

// Hold keeps all files from being removed until Release, and records why. One that stands already gets the new reason.
func (l *Log) Hold(ctx context.Context, reason string) error {
	return l.do(ctx, func(context.Context) error {
		hold := Hold{Since: l.Now().UTC(), Reason: reason}
		text, err := json.Marshal(hold)
		if err != nil {
			return err
		}
		if err := durable.WriteFile(holdPath(l.Dir), append(text, '\n'), 0o600); err != nil {
			return err
		}
		return l.add(Entry{Kind: kindHold, Data: text})
	})
}

// Release ends the hold, and records that first. Where none stands it does nothing.
func (l *Log) Release(ctx context.Context) error {
	return l.do(ctx, func(context.Context) error {
		held, err := Held(l.Dir)
		if err != nil || held == nil {
			return err
		}
		text, err := json.Marshal(held)
		if err != nil {
			return err
		}
		if err := l.add(Entry{Kind: kindReleased, Data: text}); err != nil {
			return err
		}
		return errors.Join(os.Remove(holdPath(l.Dir)), durable.SyncDir(l.Dir))
	})
}
