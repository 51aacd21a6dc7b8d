package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dd2befc3/countersign/bars"
)

// barsMetrics are the metrics of bars_proxy.
type barsMetrics struct {
	answers *prometheus.HistogramVec // endpoint, outcome, fault
	age     *prometheus.GaugeVec     // catalogue
	failing *prometheus.GaugeVec     // catalogue
	targets *prometheus.GaugeVec     // catalogue
}

// Brokered counts a request by its outcome.
func (m *Metrics) Brokered(call *bars.Call, took time.Duration) {
	endpoint, outcome, fault := call.Endpoint, "ok", "none"
	if endpoint == "" {
		endpoint = "other"
	}
	if call.Outcome != nil {
		outcome, fault = call.Outcome.Code, string(call.Outcome.Fault)
	}
	m.bars.answers.WithLabelValues(endpoint, outcome, fault).Observe(took.Seconds())
}

// barsCollector reads the catalogues' status at each scrape.
type barsCollector struct{ *Metrics }

// Describe implements prometheus.Collector.
func (b barsCollector) Describe(to chan<- *prometheus.Desc) {
	for _, gauge := range []*prometheus.GaugeVec{b.bars.age, b.bars.failing, b.bars.targets} {
		gauge.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (b barsCollector) Collect(to chan<- prometheus.Metric) {
	m := &b.bars
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, gauge := range []*prometheus.GaugeVec{m.age, m.failing, m.targets} {
		gauge.Reset()
	}
	for _, status := range ask(b.Metrics, Standing.Catalogues) {
		age, failing := -1.0, 0.0
		if !status.Good.IsZero() {
			age = time.Since(status.Good).Seconds()
		}
		if status.Error != "" {
			failing = 1
		}
		m.age.WithLabelValues(status.Source).Set(age)
		m.failing.WithLabelValues(status.Source).Set(failing)
		m.targets.WithLabelValues(status.Source).Set(float64(status.Targets))
	}
	for _, gauge := range []*prometheus.GaugeVec{m.age, m.failing, m.targets} {
		gauge.Collect(to)
	}
}
