package metrics

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	poolSize = prometheus.NewDesc("countersign_pool_size",
		"What a group of callers shares: bytes, or slots.", []string{"pool"}, nil)
	poolUsed = prometheus.NewDesc("countersign_pool_used",
		"What is held of a pool, by callers who have proven who they are (true) and by others (false).", []string{"pool", "proven"}, nil)
	poolGivenUp = prometheus.NewDesc("countersign_pool_given_up_total",
		"Callers who have proven nothing and were given up for others, since the pool was full.", []string{"pool"}, nil)
	poolRefused = prometheus.NewDesc("countersign_pool_refused_total",
		"Callers who were refused since a pool was full of what the proven hold.", []string{"pool"}, nil)
)

// poolCollector tells how the pools stand.
type poolCollector struct{ *Metrics }

// Describe implements prometheus.Collector.
func (poolCollector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{poolSize, poolUsed, poolGivenUp, poolRefused} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (p poolCollector) Collect(to chan<- prometheus.Metric) {
	tell := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	for _, use := range ask(p.Metrics, Standing.Pools) {
		tell(poolSize, prometheus.GaugeValue, float64(use.Size), use.Name)
		tell(poolUsed, prometheus.GaugeValue, float64(use.Proven), use.Name, strconv.FormatBool(true))
		tell(poolUsed, prometheus.GaugeValue, float64(use.Unproven), use.Name, strconv.FormatBool(false))
		tell(poolGivenUp, prometheus.CounterValue, float64(use.GivenUp), use.Name)
		tell(poolRefused, prometheus.CounterValue, float64(use.Refused), use.Name)
	}
}
