package prescription

import (
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
)

// BenchmarkPrepare does what $prepare does with a bundle of one item, from JSON to SignedInfo.
func BenchmarkPrepare(b *testing.B) {
	source := expected{Name: base}.source(b)
	b.SetBytes(int64(len(source)))
	b.ReportAllocs()
	for b.Loop() {
		bundle, err := ReadBundle(source)
		if err != nil {
			b.Fatal(err)
		}
		if _, outcome := Prepare(bundle, MayPrescribe, client.RS256, noon); outcome != nil {
			b.Fatal(outcome)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "translations/s")
}

// BenchmarkDisplay250 makes the displays of 250 prescriptions with four items each.
func BenchmarkDisplay250(b *testing.B) {
	bundle := mustRead(b, expected{Name: "four-items"}.source(b))
	prepared, outcome := Prepare(bundle, MayPrescribe, client.RS256, noon)
	if outcome != nil {
		b.Fatal(outcome)
	}
	b.ReportAllocs()
	for b.Loop() {
		for range 250 {
			if _, err := Display(prepared.Fragments, prepared.SignedInfo); err != nil {
				b.Fatal(err)
			}
		}
	}
}
