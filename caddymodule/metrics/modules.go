package metrics

import "github.com/prometheus/client_golang/prometheus"

var moduleDesc = prometheus.NewDesc("countersign_pkcs11_module_failing",
	"1 while the PKCS#11 module of a smartcard agent cannot be used: its file is missing, or it could not be loaded or asked when that was tried last.", []string{"module"}, nil)

// moduleCollector tells of the modules of the configuration that runs.
type moduleCollector struct{ *Metrics }

// Describe implements prometheus.Collector.
func (moduleCollector) Describe(to chan<- *prometheus.Desc) { to <- moduleDesc }

// Collect implements prometheus.Collector.
func (c moduleCollector) Collect(to chan<- prometheus.Metric) {
	for module, err := range ask(c.Metrics, Standing.Modules) {
		failing := 0.0
		if err != "" {
			failing = 1
		}
		to <- prometheus.MustNewConstMetric(moduleDesc, prometheus.GaugeValue, failing, module)
	}
}
