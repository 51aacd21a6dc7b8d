package reload_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// settled waits until the gateway's goroutines and file handles have been the same for a second, and counts them.
func settled(g *gateway.Gateway) (goroutines int, files []string) {
	since := time.Now()
	gateway.Eventually(patience, func() bool {
		n, _ := g.Goroutines()
		open := g.OpenFiles()
		if n != goroutines || len(open) != len(files) {
			goroutines, files, since = n, open, time.Now()
		}
		return time.Since(since) > time.Second
	})
	return goroutines, files
}

// mustNotLeak waits until the gateway has about as many goroutines and file handles as before. What a hundred reloads
// leak is a multiple of those that were taken; the store's own work comes and goes.
func mustNotLeak(t *testing.T, g *gateway.Gateway, goroutines int, files []string) {
	t.Helper()
	const more = 8
	var nowGoroutines int
	var where string
	var nowFiles []string
	if gateway.Eventually(patience, func() bool {
		nowGoroutines, where = g.Goroutines()
		nowFiles = g.OpenFiles()
		return nowGoroutines <= goroutines+more && len(nowFiles) <= len(files)+more
	}) {
		t.Logf("goroutines %d before, %d after; file handles %d before, %d after", goroutines, nowGoroutines, len(files), len(nowFiles))
		return
	}
	t.Errorf("goroutines %d before, %d after: %s", goroutines, nowGoroutines, where)
	slices.Sort(nowFiles)
	t.Errorf("file handles %d before, %d after: %q", len(files), len(nowFiles), nowFiles)
}
