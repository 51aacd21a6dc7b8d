package badger

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// BenchmarkCommit compares durable commits of 2 KB, grouped and with a transaction each, in turn. It reports the medians
// and their ratio.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			var grouped, alone, ratios, groups []float64
			for b.Loop() {
				fast, group := rate(b, writers, 100*writers, false)
				slow, _ := rate(b, writers, 20*writers, true)
				grouped, alone = append(grouped, fast), append(alone, slow)
				ratios, groups = append(ratios, fast/slow), append(groups, group)
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(grouped), "commits/s")
			b.ReportMetric(median(alone), "ungrouped/s")
			b.ReportMetric(median(ratios), "ratio")
			b.ReportMetric(median(groups), "commits/fsync")
		})
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// rate returns commits per second, and the number of commits per transaction.
func rate(b *testing.B, writers, commits int, alone bool) (perSecond, group float64) {
	b.Helper()
	s := open(b, Options{Dir: b.TempDir(), alone: alone})
	value := bytes.Repeat([]byte("two KB of something "), 100)
	var next atomic.Int64
	var all sync.WaitGroup
	start := time.Now()
	for range writers {
		all.Go(func() {
			for n := next.Add(1); n <= int64(commits); n = next.Add(1) {
				r := store.Record{Key: fmt.Sprintf("session/%08d", n), Value: value, Expires: start.Add(time.Hour)}
				if err := s.Commit(b.Context(), store.Batch{If: []store.Check{{Key: r.Key}}, Then: []store.Op{{Put: &r}}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	perSecond = float64(commits) / time.Since(start).Seconds()
	st := s.Stats()
	return perSecond, float64(st.Batches) / float64(st.Transactions)
}

// BenchmarkClaim measures a claim of nothing from a queue from which much was taken.
func BenchmarkClaim(b *testing.B) {
	s := open(b, Options{Dir: b.TempDir()})
	for range 40 {
		var puts, deletes store.Batch
		for i := range store.MaxOps {
			key := fmt.Sprint(i)
			puts.Then = append(puts.Then, store.Op{Put: &store.Record{Key: key, Queue: "q", Due: time.Now()}})
			deletes.Then = append(deletes.Then, store.Op{Delete: key})
		}
		for _, batch := range []store.Batch{puts, deletes} {
			if err := s.Commit(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	for b.Loop() {
		if r, err := s.Claim(b.Context(), "q", 1, time.Minute); err != nil || len(r) != 0 {
			b.Fatal(len(r), err)
		}
	}
}
