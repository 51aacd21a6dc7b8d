package metrics

import "github.com/prometheus/client_golang/prometheus"

var openIDDesc = prometheus.NewDesc("countersign_openid_failing",
	"1 while the last attempt to read what an OpenID provider publishes, its keys included, failed.", []string{"issuer"}, nil)

// openIDCollector reports the providers of the running configuration.
type openIDCollector struct{ *Metrics }

// Describe implements prometheus.Collector.
func (openIDCollector) Describe(to chan<- *prometheus.Desc) { to <- openIDDesc }

// Collect implements prometheus.Collector.
func (o openIDCollector) Collect(to chan<- prometheus.Metric) {
	for issuer, err := range ask(o.Metrics, Standing.OpenID) {
		failing := 0.0
		if err != "" {
			failing = 1
		}
		to <- prometheus.MustNewConstMetric(openIDDesc, prometheus.GaugeValue, failing, issuer)
	}
}
