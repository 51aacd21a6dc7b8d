package metrics

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Expiry is the validity of a certificate. The kind says whether it is an issuer's, a chain's or our own.
type Expiry struct {
	Kind, Subject string
	From, At      time.Time // start and end of its validity
}

// Expiries holds the expiries of the certificates a configuration depends on. The zero value is ready for use.
type Expiries struct {
	mu  sync.Mutex
	all map[[2]string]Expiry // by kind and subject
}

// Watch records when certificates expire.
func (e *Expiries) Watch(kind string, certificates ...*x509.Certificate) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range certificates {
		if e.all == nil {
			e.all = map[[2]string]Expiry{}
		}
		e.all[[2]string{kind, subjectOf(c)}] = Expiry{kind, subjectOf(c), c.NotBefore, c.NotAfter}
	}
}

// All returns the expiries in no particular order.
func (e *Expiries) All() []Expiry {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]Expiry, 0, len(e.all))
	for _, of := range e.all {
		all = append(all, of)
	}
	return all
}

// WatchTransport records the expiry of a transport's client certificate, and returns the certificate if it comes from
// a file. A certificate managed by Caddy is read each time it is presented.
func (e *Expiries) WatchTransport(kind string, config *tls.Config) []*x509.Certificate {
	if config == nil {
		return nil
	}
	var ofFiles []*x509.Certificate
	for i := range config.Certificates {
		ofFiles = append(ofFiles, leafOf(&config.Certificates[i])...)
	}
	e.Watch(kind, ofFiles...)
	if get := config.GetClientCertificate; get != nil {
		config.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			shown, err := get(asked)
			if err == nil {
				e.Watch(kind, leafOf(shown)...)
			}
			return shown, err
		}
	}
	return ofFiles
}

// leafOf returns the certificate itself, without its issuers.
func leafOf(shown *tls.Certificate) []*x509.Certificate {
	if shown.Leaf != nil {
		return []*x509.Certificate{shown.Leaf}
	}
	if len(shown.Certificate) == 0 {
		return nil
	}
	leaf, err := x509.ParseCertificate(shown.Certificate[0])
	if err != nil { // unusable: nobody accepts it, and the log says so
		return nil
	}
	return []*x509.Certificate{leaf}
}

// subjectOf returns a certificate's name. Certificates of Caddy's own CA have only alternative names.
func subjectOf(c *x509.Certificate) string {
	if subject := c.Subject.String(); subject != "" {
		return subject
	}
	return strings.Join(c.DNSNames, " ")
}

var (
	expiryLabels = []string{"kind", "subject"}

	expiryDesc = prometheus.NewDesc("countersign_certificate_expiry_timestamp_seconds",
		"When a certificate that the gateway depends on expires.", expiryLabels, nil)
	beginDesc = prometheus.NewDesc("countersign_certificate_start_timestamp_seconds",
		"Since when a certificate that the gateway depends on is valid.", expiryLabels, nil)
)

// expiryCollector reports the certificates of the running configuration.
type expiryCollector struct{ *Metrics }

// Describe implements prometheus.Collector.
func (expiryCollector) Describe(to chan<- *prometheus.Desc) { to <- expiryDesc; to <- beginDesc }

// Collect implements prometheus.Collector.
func (e expiryCollector) Collect(to chan<- prometheus.Metric) {
	for _, of := range ask(e.Metrics, Standing.Expiries) {
		to <- prometheus.MustNewConstMetric(expiryDesc, prometheus.GaugeValue, float64(of.At.Unix()), of.Kind, of.Subject)
		to <- prometheus.MustNewConstMetric(beginDesc, prometheus.GaugeValue, float64(of.From.Unix()), of.Kind, of.Subject)
	}
}
