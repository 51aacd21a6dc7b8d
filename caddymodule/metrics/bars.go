package metrics

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dd2befc3/countersign/bars"
)

// barsMetrics are those of bars_proxy.
type barsMetrics struct {
	answers *prometheus.HistogramVec // endpoint, outcome, fault
	age     *prometheus.GaugeVec     // catalogue
	failing *prometheus.GaugeVec     // catalogue
	targets *prometheus.GaugeVec     // catalogue

	mu         sync.Mutex
	catalogues func() []bars.SourceStatus // of the configuration that was started last
}

// Brokered counts a request by what has become of it.
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

// WatchCatalogues names who knows how the endpoint catalogues are.
func (m *Metrics) WatchCatalogues(status func() []bars.SourceStatus) {
	m.bars.mu.Lock()
	defer m.bars.mu.Unlock()
	m.bars.catalogues = status
}

// WatchTransport notes when the certificate expires that a transport shows, and returns it if it is of a file. One that
// Caddy manages is looked at whenever it is shown.
func (m *Metrics) WatchTransport(kind string, config *tls.Config) []*x509.Certificate {
	if config == nil {
		return nil
	}
	var ofFiles []*x509.Certificate
	for i := range config.Certificates {
		ofFiles = append(ofFiles, leafOf(&config.Certificates[i])...)
	}
	m.WatchCertificates(kind, ofFiles...)
	if get := config.GetClientCertificate; get != nil {
		config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			shown, err := get(asked)
			if err == nil {
				m.WatchCertificates(kind, leafOf(shown)...)
			}
			return shown, err
		}
	}
	return ofFiles
}

// leafOf is the certificate itself, without those that vouch for it.
func leafOf(shown *tls.Certificate) []*x509.Certificate {
	if shown.Leaf != nil {
		return []*x509.Certificate{shown.Leaf}
	}
	if len(shown.Certificate) == 0 {
		return nil
	}
	leaf, err := x509.ParseCertificate(shown.Certificate[0])
	if err != nil { // then nobody takes it, and the log says so
		return nil
	}
	return []*x509.Certificate{leaf}
}

// subjectOf is a certificate's name: those of Caddy's own CA have alternative names alone.
func subjectOf(c *x509.Certificate) string {
	if subject := c.Subject.String(); subject != "" {
		return subject
	}
	return strings.Join(c.DNSNames, " ")
}

// Describe implements prometheus.Collector.
func (m *barsMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, gauge := range []*prometheus.GaugeVec{m.age, m.failing, m.targets} {
		gauge.Describe(to)
	}
}

// Collect implements prometheus.Collector: it asks how the catalogues are at the time of a scrape.
func (m *barsMetrics) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, gauge := range []*prometheus.GaugeVec{m.age, m.failing, m.targets} {
		gauge.Reset()
	}
	if m.catalogues == nil {
		return
	}
	for _, status := range m.catalogues() {
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
