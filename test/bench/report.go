package main

import (
	"fmt"
	"slices"
	"text/tabwriter"
	"time"
)

// measurement is one round of one subject.
type measurement struct {
	outcome
	requests int
	cpu      time.Duration // of the server
}

// results are the rounds of each subject, by its name.
type results map[string][]measurement

// The figures of a round.
func throughput(m measurement) float64 { return float64(m.requests) / m.Seconds }
func perRequest(m measurement) float64 { return float64(m.cpu.Microseconds()) / float64(m.requests) }
func p50(m measurement) float64        { return milliseconds(m.P50) }
func p99(m measurement) float64        { return milliseconds(m.P99) }
func worst(m measurement) float64      { return milliseconds(m.Max) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r results) figures(s subject, figure func(measurement) float64) []float64 {
	figures := make([]float64, 0, len(r[s.name]))
	for _, m := range r[s.name] {
		figures = append(figures, figure(m))
	}
	return figures
}

func (r results) median(s subject, figure func(measurement) float64) float64 {
	return median(r.figures(s, figure))
}

func median(figures []float64) float64 {
	slices.Sort(figures)
	return figures[len(figures)/2]
}

func (b *bench) table(subjects []subject, r results) {
	out := tabwriter.NewWriter(b.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "\trequests/s\tCPU µs/request\tp50 ms\tp99 ms\tworst ms\t")
	for _, s := range subjects {
		fmt.Fprintf(out, "%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t\n", s.name,
			r.median(s, throughput), r.median(s, perRequest), r.median(s, p50), r.median(s, p99), r.median(s, worst))
	}
	_ = out.Flush() // what it writes to does not fail
}

// ratio prints the median of the rounds' ratios, and the least and the greatest.
func (b *bench) ratio(r results, what string, figure func(measurement) float64, of, to subject, target string) {
	var ratios []float64
	for round := range r[of.name] {
		ratios = append(ratios, figure(r[of.name][round])/figure(r[to.name][round]))
	}
	middle := median(ratios)
	fmt.Fprintf(b.out, "  %s: %.2f × %s (%.2f to %.2f; target: %s)\n", what+" of "+of.name, middle, to.name,
		ratios[0], ratios[len(ratios)-1], target)
}

// difference prints how much more of something one subject has than another, over all rounds.
func (b *bench) difference(r results, what string, figure func(measurement) float64, over func([]float64) float64, of, to subject, target string) {
	of1, to1 := over(r.figures(of, figure)), over(r.figures(to, figure))
	fmt.Fprintf(b.out, "  %s of %s: %+.2f ms over %s (%.2f and %.2f; target: %s)\n", what, of.name, of1-to1, to.name, of1, to1, target)
}
