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

// File is one closed file of a log, to which nothing is written any more.
type File struct {
	Name string    `json:"file"`
	Last uint64    `json:"last"` // number of its last entry
	Hash string    `json:"hash"` // of that entry: it stands for everything up to the end of the file
	Time time.Time `json:"time"` // no entry in the file is later
}

// Closed lists the closed files of a log, oldest first.
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
		if !found { // left by a crash: it is not known yet how the file before it ends
			break
		}
		closed = append(closed, File{Name: names[i-1], Last: next.Seq - 1, Hash: next.Prev, Time: next.Time})
	}
	return closed, nil
}

// removal is the record of a removal, the data of a kindRemoved.
type removal struct {
	Files []File `json:"files"`
	Why   any    `json:"why"`
}

// Remove deletes the oldest files of the log, after a head has signed a record of them: by that record Verify accepts that
// they are missing. The files must be the first of those that Closed lists. Why they may go is decided, and recorded, by
// the caller. During a hold nothing is removed.
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
			return fmt.Errorf("nothing was removed, because no head signs the record of it: %w", err)
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

// removable returns an error unless the files are the oldest of the log.
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

// ErrHeld is returned if files may not be removed because of a hold.
var ErrHeld = errors.New("nothing is removed from the audit log during a hold")

func (l *Log) notHeld() error {
	held, err := Held(l.Dir)
	if err == nil && held != nil {
		err = ErrHeld
	}
	return err
}

// Hold is the reason why nothing may be removed.
type Hold struct {
	Since  time.Time `json:"since,omitzero"`
	Reason string    `json:"reason,omitempty"`
}

func holdPath(dir string) string { return filepath.Join(dir, "hold") }

// Held returns the current hold, or nil. A hold is a file next to the log's, so it can also be placed there by hand while no
// gateway runs; its contents are for people.
func Held(dir string) (*Hold, error) {
	text, err := os.ReadFile(holdPath(dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	hold := &Hold{}
	if err != nil || json.Unmarshal(text, hold) != nil {
		return &Hold{}, nil // an unreadable one holds as well
	}
	return hold, nil
}

// Hold prevents the removal of files until Release, and records the reason. It replaces the reason of a current hold.
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

// Release records the end of the hold and ends it. Without a hold it does nothing.
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
