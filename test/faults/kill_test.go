package faults_test

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestKill ends the gateway by SIGKILL at a random moment under load; every fourth time once more while it starts.
func TestKill(t *testing.T) {
	play(t, 6, func(t *testing.T) *world { return newWorld(t, site{}) }, func(w *world) {
		w.Kill()
		if rand.IntN(4) == 0 {
			w.Spawn()
			pause(0, 500*time.Millisecond)
			w.Kill()
		}
		w.restart()
	})
}
