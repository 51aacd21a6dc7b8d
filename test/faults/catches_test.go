package faults_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestCatches takes one safeguard away at a time: the harness must report the loss.
func TestCatches(t *testing.T) {
	kill := func(w *world) {
		w.Kill()
		w.restart()
	}
	for _, c := range []struct {
		fault string
		words string // of the loss
		disk  bool
		do    func(w *world, d *disk)
	}{
		{fault: "no-sync", words: "a used jti can be used again", disk: true, do: cutPower},
		{fault: "lenient", words: "gets another token", do: func(w *world, _ *disk) { damage(w, nil) }},
		{fault: "early-answer", words: "gets another token", do: func(w *world, _ *disk) { kill(w) }},
		{fault: "early-completion", words: "a request that is signed: its signatures, asked for", do: func(w *world, _ *disk) { kill(w) }},
		{fault: "early-callback", words: "a request that is signed: its signatures, asked for", do: func(w *world, _ *disk) { kill(w) }},
	} {
		t.Run(c.fault, func(t *testing.T) {
			options := []gateway.Option{gateway.Built(gateway.FaultBinary(t)), gateway.Env("COUNTERSIGN_FAULT=" + c.fault)}
			var w *world
			var d *disk
			if c.disk {
				d = newDisk(t)
				w = newDiskWorld(t, d, options...)
			} else {
				w = newWorld(t, site{}, options...)
			}
			mustCatch(t, w, c.words, func() { c.do(w, d) })
		})
	}
}

// mustCatch makes a fault until the oracle reports a loss in these words. One or two should do,
// where there is a load.
func mustCatch(t *testing.T, w *world, words string, strike func()) {
	t.Helper()
	w.begin()
	for faults := 1; faults <= 40; faults++ {
		pause(300*time.Millisecond, 900*time.Millisecond)
		strike()
		w.check(false)
		if loss := w.lost(words); loss != "" {
			t.Logf("after %d faults the harness reports: %s", faults, loss)
			return
		}
	}
	t.Errorf("forty faults without a safeguard, and the harness reports: %q", w.tally(40).losses)
}

// lost is the first loss with these words in it, or nothing.
func (w *world) lost(words string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, loss := range w.losses {
		if strings.Contains(loss, words) {
			return loss
		}
	}
	return ""
}

// TestNoFaultsShipped proves that the switches are in no build but that of the harness.
func TestNoFaultsShipped(t *testing.T) {
	has := func(path string) bool {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(text, []byte("COUNTERSIGN_"+"FAULT"))
	}
	if has(gateway.Binary(t)) {
		t.Error("the binary under test can have its safeguards taken away")
	}
	if !has(gateway.FaultBinary(t)) {
		t.Error("the fault build has no switches either, so this test says nothing")
	}
}
