package faults_test

import (
	"testing"
	"time"
)

// TestReadOnly has the disk fail in itself under load, so that Linux makes it read-only under the gateway's hands. It
// stops acknowledging; when the disk was checked and mounted again, everything that it did acknowledge is there.
func TestReadOnly(t *testing.T) {
	var weak *disk
	play(t, 3, func(t *testing.T) *world {
		weak = newDisk(t)
		return newDiskWorld(t, weak)
	}, func(w *world) {
		weak.fail()
		w.mustPutOff()
		pause(0, 200*time.Millisecond)
		w.Kill()
		weak.repair()
		w.restart()
	})
}
