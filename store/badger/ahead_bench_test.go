package badger

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	engine "github.com/dgraph-io/badger/v4"

	"github.com/seed-dd2befc3/countersign/store"
)

// ways are the two that BenchmarkAhead compares in turn.
var ways = []struct {
	name string
	tune func(engine.Options) engine.Options
}{
	{"ahead", nil},
	{"sparse", func(o engine.Options) engine.Options { return o.WithSyncWrites(true) }}, // Badger's own way
}

// BenchmarkAhead compares durable commits of 2 KB to a prepared log and to a sparse one, in turn: back to back, and at
// 1,000 a second in an open loop, each measured from the moment it is due. It reports the medians of the turns in
// microseconds. Each turn fills about one log.
func BenchmarkAhead(b *testing.B) {
	for _, c := range []struct {
		name string
		run  func(b *testing.B, s *Store) []time.Duration
	}{{"closed", inTurn}, {"1000ps", openLoop}} {
		b.Run(c.name, func(b *testing.B) {
			seen := map[string][]float64{}
			for b.Loop() {
				for _, way := range ways {
					s := open(b, Options{Dir: b.TempDir(), tune: way.tune})
					took := c.run(b, s)
					if err := s.Close(); err != nil {
						b.Fatal(err)
					}
					slices.Sort(took)
					for name, at := range map[string]int{"p50": len(took) / 2, "p99": len(took) * 99 / 100, "p999": len(took) * 999 / 1000, "worst": len(took) - 1} {
						key := way.name + "-" + name
						seen[key] = append(seen[key], float64(took[at].Microseconds()))
					}
				}
			}
			b.ReportMetric(0, "ns/op")
			for key, values := range seen {
				b.ReportMetric(median(values), key+"-µs")
			}
		})
	}
}

const aheadCommits = 10_000 // of 2 KB, in one turn

func inTurn(b *testing.B, s *Store) []time.Duration {
	b.Helper()
	took := make([]time.Duration, aheadCommits)
	for i := range took {
		began := time.Now()
		commitOne(b, s, i)
		took[i] = time.Since(began)
	}
	return took
}

func openLoop(b *testing.B, s *Store) []time.Duration {
	b.Helper()
	took := make([]time.Duration, aheadCommits)
	var all sync.WaitGroup
	began := time.Now()
	for i := range took {
		due := began.Add(time.Duration(i) * time.Millisecond)
		<-time.After(time.Until(due))
		all.Go(func() {
			commitOne(b, s, i)
			took[i] = time.Since(due)
		})
	}
	all.Wait()
	return took
}

func commitOne(b *testing.B, s *Store, i int) {
	b.Helper()
	r := store.Record{Key: fmt.Sprintf("session/%08d", i), Value: bytes.Repeat([]byte("two KB of something "), 100), Expires: time.Now().Add(time.Hour)}
	if err := s.Commit(b.Context(), store.Batch{If: []store.Check{{Key: r.Key}}, Then: []store.Op{{Put: &r}}}); err != nil {
		b.Error(err)
	}
}
