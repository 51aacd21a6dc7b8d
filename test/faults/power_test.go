package faults_test

import (
	"syscall"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestPowerCut cuts the power of the disk that everything of the gateway stands on, at a random moment under load. What
// the process and the kernel had in memory is lost; what was handed to the disk is not, so a disk that keeps back what
// it was told to flush is not covered.
func TestPowerCut(t *testing.T) {
	var power *disk
	play(t, 4, func(t *testing.T) *world {
		power = newDisk(t)
		return newDiskWorld(t, power)
	}, func(w *world) {
		cutPower(w, power)
	})
}

// cutPower stops the gateway where it is, loses what is only in memory, and starts again from what is left.
func cutPower(w *world, power *disk) {
	w.Signal(syscall.SIGSTOP)
	power.losePower(w.Kill)
	w.restart()
}

// newDiskWorld is a world whose gateway has its home on a disk.
func newDiskWorld(t *testing.T, d *disk, options ...gateway.Option) *world {
	t.Helper()
	w := newWorld(t, site{}, append(options, gateway.Home(d.home()))...)
	d.keep("home/Caddyfile") // which its operator wrote long before
	return w
}
