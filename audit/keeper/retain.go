package keeper

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/store"
)

// Retention is the progress of removing files.
type Retention struct {
	Keep    time.Duration
	Due     int // files older than Keep
	Waiting int // those of Due that no head handed outside covers
	Hold    *audit.Hold
	Handed  *Handed // the furthest position of this log handed outside
	Error   string  // why the last removal failed, if it did
}

// why is recorded with a removal.
type why struct {
	Keep   string `json:"keep"`
	Handed Handed `json:"handed"`
}

// retain removes files that are older than Keep, the oldest first, up to the furthest head that was handed outside. Their
// age is measured at the time of that head: a clock that is wrong now removes nothing.
func (k *Keeper) retain(ctx context.Context, in store.Store) error {
	found := Retention{Keep: k.present().Keep}
	err := k.survey(ctx, in, &found)
	if err == nil && found.Hold == nil && found.Due > found.Waiting {
		err = k.remove(ctx, &found)
	}
	switch {
	case errors.Is(err, store.ErrUnavailable):
		return err
	case err != nil && !errors.Is(err, audit.ErrHeld): // a hold that was placed just now
		found.Error = err.Error()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if found.Error != "" && k.retention.Error == "" {
		k.settings[len(k.settings)-1].Logger.LogAttrs(ctx, slog.LevelError, "removing files of the audit log failed and is retried",
			slog.String("error", found.Error))
	}
	k.retention = found
	return nil
}

// survey determines which files are due, and how many of them may go.
func (k *Keeper) survey(ctx context.Context, in store.Store, found *Retention) (err error) {
	if found.Handed, _, err = readHanded(ctx, in, k.log.Health().Node); err != nil {
		return err
	}
	if found.Handed != nil {
		contained, err := k.contains(found.Handed.Position)
		if err != nil {
			return err
		}
		if !contained { // of an earlier log with the same name
			found.Handed = nil
		}
	}
	if found.Hold, err = audit.Held(k.log.Dir); err != nil || found.Keep == 0 {
		return err
	}
	closed, err := audit.Closed(k.log.Dir)
	if err != nil {
		return err
	}
	found.Due = len(older(closed, k.now().Add(-found.Keep)))
	found.Waiting = found.Due - len(k.removable(closed, found))
	return nil
}

// older returns the first files whose entries are all from before a time.
func older(closed []audit.File, before time.Time) []audit.File {
	n := 0
	for n < len(closed) && closed[n].Time.Before(before) {
		n++
	}
	return closed[:n]
}

// removable returns the files that may go.
func (k *Keeper) removable(closed []audit.File, found *Retention) []audit.File {
	if found.Handed == nil {
		return nil
	}
	at := k.now()
	if found.Handed.Time.Before(at) {
		at = found.Handed.Time
	}
	due := older(closed, at.Add(-found.Keep))
	n := 0
	for n < len(due) && due[n].Last <= found.Handed.Number {
		n++
	}
	return due[:n]
}

func (k *Keeper) remove(ctx context.Context, found *Retention) error {
	closed, err := audit.Closed(k.log.Dir)
	if err != nil {
		return err
	}
	files := k.removable(closed, found)
	if len(files) == 0 {
		return nil
	}
	if err := k.log.Remove(ctx, files, why{Keep: found.Keep.String(), Handed: *found.Handed}); err != nil {
		return err
	}
	found.Due -= len(files)
	last := files[len(files)-1]
	k.present().Logger.LogAttrs(ctx, slog.LevelInfo, "removed files of the audit log, as configured by keep",
		slog.Int("files", len(files)), slog.String("through", last.Name), slog.Uint64("number", last.Last), slog.String("hash", last.Hash))
	return nil
}

// Hold prevents the removal of files until Release.
func (k *Keeper) Hold(ctx context.Context, reason string) error {
	return k.hold(k.log.Hold(ctx, reason))
}

// Release ends the hold.
func (k *Keeper) Release(ctx context.Context) error { return k.hold(k.log.Release(ctx)) }

// hold updates the status at once.
func (k *Keeper) hold(err error) error {
	held, readErr := audit.Held(k.log.Dir)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.retention.Hold = held
	k.signal() // files may have been waiting for the end of the hold
	return errors.Join(err, readErr)
}
