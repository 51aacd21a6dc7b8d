package prescription

import (
	"testing"
	"time"
)

// BenchmarkTranslate reads a bundle of one item, translates it and digests it: what $prepare takes.
func BenchmarkTranslate(b *testing.B) {
	source := expected{Name: "acute-one-item"}.source(b)
	b.SetBytes(int64(len(source)))
	b.ReportAllocs()
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		bundle, err := ReadBundle(source)
		if err != nil {
			b.Fatal(err)
		}
		p, refusal := Translate(bundle, at)
		if refusal != nil {
			b.Fatal(refusal)
		}
		_ = p.Fragments()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "translations/s")
}
