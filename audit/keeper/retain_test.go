package keeper

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/store"
)

const day = 24 * time.Hour

// months makes a log with one file per month, and returns the position of each month's last record.
func (w *world) months(k *Keeper, n int) (at []audit.Position) {
	w.Helper()
	for range n {
		w.records(k, 1)
		p, err := k.Append(w.Context(), "signing", 1)
		if err != nil {
			w.Fatal(err)
		}
		at = append(at, p)
		w.settle(k)
		w.clock.forward(31 * day)
	}
	return at
}

func (w *world) files(k *Keeper) int {
	w.Helper()
	files, err := filepath.Glob(filepath.Join(k.log.Dir, "audit-*.jsonl"))
	if err != nil {
		w.Fatal(err)
	}
	return len(files)
}

func (w *world) retention(k *Keeper, files, due, waiting int) {
	w.Helper()
	w.settle(k)
	if got := k.Status().Retention; w.files(k) != files || got.Due != due || got.Waiting != waiting {
		w.Errorf("got %d files, %d due, %d waiting, want %d, %d, %d", w.files(k), got.Due, got.Waiting, files, due, waiting)
	}
}

// Files older than keep are removed, oldest first, and no further than what was handed outside.
func keep(w *world) {
	w.keep = 70 * day
	k := w.gateway(w.TempDir(), "gw-1")
	at := w.months(k, 6)
	w.records(k, 1)
	w.retention(k, 7, 3, 3) // nothing was handed outside
	k.HandOutside(at[0], "client acme")
	w.retention(k, 7, 3, 3) // does not cover all of the first file
	k.HandOutside(at[2], "client acme")
	k.HandOutside(at[1], "client acme") // comes late
	w.retention(k, 5, 1, 1)
	if err := k.Hold(w.Context(), "claim 4711"); err != nil {
		w.Fatal(err)
	}
	k.HandOutside(at[5], "client acme")
	w.retention(k, 5, 1, 0)
	if got := k.Status().Hold; got == nil || got.Reason != "claim 4711" {
		w.Errorf("got hold %+v", got)
	}
	if err := k.Release(w.Context()); err != nil {
		w.Fatal(err)
	}
	w.retention(k, 4, 0, 0)
	w.clock.forward(10 * 365 * day) // a wrong clock removes nothing
	w.retention(k, 4, 3, 3)
	w.stop(k)
	if text := kinds(w, k.log.Dir); strings.Count(text, " removed") != 2 {
		w.Errorf("got entries%s", text)
	}
	k = w.gateway(k.log.Dir, "gw-1") // what is remembered outlives the process
	w.settle(k)
	if got := k.Status().Handed; got == nil || got.Position != at[5] || got.To != "client acme" {
		w.Errorf("got handed outside %+v", got)
	}
	w.stop(k)
}

// By default nothing is removed.
func keepForEver(w *world) {
	k := w.gateway(w.TempDir(), "gw-1")
	at := w.months(k, 3)
	k.HandOutside(at[2], "client acme")
	w.clock.forward(30 * 365 * day)
	w.records(k, 1)
	w.retention(k, 4, 0, 0)
	w.stop(k)
}

// An operator's statement counts if the position is in the log, and is recorded.
func acknowledge(w *world) {
	w.keep = 40 * day
	k := w.gateway(w.TempDir(), "gw-1")
	at := w.months(k, 3)
	w.records(k, 1)
	wrong, foreign, beyond := at[1], at[1], at[1]
	wrong.Hash = at[0].Hash
	foreign.Node = "gw-2"
	beyond.Number = 1000
	for _, p := range []audit.Position{wrong, foreign, beyond} {
		if err := k.Acknowledge(w.Context(), p, "paper"); !errors.Is(err, ErrNotContained) {
			w.Errorf("Acknowledge(%s): got %v, want ErrNotContained", p, err)
		}
	}
	nameless := at[2]
	nameless.Node = ""
	if err := k.Acknowledge(w.Context(), nameless, "paper"); err != nil {
		w.Fatal(err)
	}
	w.retention(k, 3, 0, 0)
	w.stop(k)
	if text := kinds(w, k.log.Dir); strings.Count(text, " handed") != 1 {
		w.Errorf("got entries%s", text)
	}
}

// Positions of an earlier log with the same name do not count; positions delivered by another node do.
func handedOfOthers(w *world) {
	w.shared, w.keep = true, 40*day
	former := w.gateway(w.TempDir(), "gw-1")
	at := w.months(former, 4)
	former.HandOutside(at[3], "client acme")
	w.settle(former)
	w.stop(former)
	one, two := w.gateway(w.TempDir(), "gw-1"), w.gateway(w.TempDir(), "gw-2")
	at = w.months(one, 3)
	w.records(one, 1)
	if got := one.Status().Handed; got != nil {
		w.Errorf("position of the former log: got %+v", got)
	}
	one.HandOutside(at[0], "client acme") // replaces it, although its number is lower
	w.settle(one)
	two.HandOutside(at[2], "client acme")
	two.HandOutside(audit.Position{Node: "a/b", Number: 1}, "nobody")
	w.settle(two)
	w.retention(one, 3, 0, 0)
	w.stop(one)
	w.stop(two)
}

// If the store does not answer, what was handed outside is kept for the next round.
func handedWhileTheStoreIsAway(w *world) {
	k := w.gateway(w.TempDir(), "gw-1")
	at := w.months(k, 1)
	k.HandOutside(at[0], "client acme")
	if err := k.flush(w.Context(), downStore{w.store}); !errors.Is(err, store.ErrUnavailable) {
		w.Errorf("got %v, want the store's error", err)
	}
	w.settle(k)
	if got := k.Status().Handed; got == nil || got.Position != at[0] {
		w.Errorf("got handed outside %+v, want %s", got, at[0])
	}
	w.stop(k)
}
