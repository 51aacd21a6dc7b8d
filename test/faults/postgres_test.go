package faults_test

import (
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

// TestPostgres has the gateway's database ended under load and started again, as its administrator would and as a crash
// would, and frozen for a while, in which calls hang and then are put off.
func TestPostgres(t *testing.T) {
	var database *postgrestest.Server
	turn := 0
	play(t, 3, func(t *testing.T) *world {
		database = postgrestest.Start(t)
		return newWorld(t, site{store: "postgres " + database.DSN()})
	}, func(w *world) {
		turn++
		if turn%3 == 0 {
			database.Pause()
			pause(time.Second, 8*time.Second) // longer than a call waits, or not
			database.Continue()
			w.awaitReady(time.Now())
			return
		}
		if turn%3 == 1 {
			database.Stop()
		} else {
			database.Kill()
		}
		pause(0, 500*time.Millisecond)
		database.Resume()
		w.awaitReady(time.Now())
	})
}

// TestPostgresFailover kills the primary under load, for good, and promotes its synchronous standby, to which the
// gateway finds by itself. The former primary becomes the next standby.
func TestPostgresFailover(t *testing.T) {
	var primary, standby *postgrestest.Server
	play(t, 2, func(t *testing.T) *world {
		primary = postgrestest.Start(t)
		standby = postgrestest.Standby(t, primary)
		return newWorld(t, site{store: `postgres "` + postgrestest.DSN(primary, standby) + `"`})
	}, func(w *world) {
		primary.Kill()
		standby.Promote()
		w.awaitReady(time.Now())
		primary, standby = standby, primary
		standby.Follow(primary)
	})
}
