package faults_test

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// TestFullDisk fills the disk under load, at once or bit by bit, to the last byte. The gateway lives, puts off what it
// would have to keep, goes on answering what it has, and goes on with all of it when there is room again. Every third
// time it is killed while the disk is full.
func TestFullDisk(t *testing.T) {
	var small *disk
	turn := 0
	play(t, 3, func(t *testing.T) *world {
		small = newMemoryDisk(t, "640m")
		return newDiskWorld(t, small)
	}, func(w *world) {
		turn++
		if turn%2 == 0 {
			for leave := uint64(300 << 20); leave > 1<<20; leave /= 2 {
				small.fill(leave)
				pause(0, 40*time.Millisecond)
			}
		}
		small.fill(0)
		w.mustPutOff()
		w.mustRead()
		if turn%3 == 0 {
			w.Kill()
			small.free()
			w.restart()
			return
		}
		pause(0, 200*time.Millisecond)
		if !w.Running() {
			w.t.Fatal("the gateway died of a full disk")
		}
		freed := time.Now()
		small.free()
		w.awaitReady(freed)
	})
}

// mustPutOff checks that a gateway which cannot write says so, with when to come again.
func (w *world) mustPutOff() {
	ctx, end := context.WithTimeout(w.t.Context(), patience)
	defer end()
	fresh, err := newAssertion(w.tokenURL, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	a, err := w.redeem(ctx, fresh)
	if err != nil || a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		w.lose("a gateway that cannot write answers %s (%v)", a, err)
	}
}

// mustRead checks that a gateway gives out what it has.
func (w *world) mustRead() {
	ctx, end := context.WithTimeout(w.t.Context(), patience)
	defer end()
	requests, _ := w.journal.since(0, 0)
	for _, r := range requests[max(0, len(requests)-3):] {
		if a, err := w.fetch(ctx, r); err != nil || a.status >= http.StatusInternalServerError {
			w.lose("a gateway that cannot write does not read either: %s (%v)", a, err)
		}
	}
}
