package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// webhookMetrics are the metrics of webhook delivery.
type webhookMetrics struct {
	attempts *prometheus.HistogramVec // client, outcome
	pending  *prometheus.GaugeVec     // client
	oldest   *prometheus.GaugeVec     // client
	dead     *prometheus.GaugeVec     // client
}

func newWebhookMetrics(
	histogram func(name, help string, labels ...string) *prometheus.HistogramVec,
	gauge func(name, help string, labels ...string) *prometheus.GaugeVec,
) webhookMetrics {
	return webhookMetrics{
		attempts: histogram("webhook_attempt_seconds", "Attempts to deliver a webhook, by client and outcome.", "client", "outcome"),
		pending:  gauge("webhooks_pending", "Webhooks that wait to be delivered, counted every 15 seconds and up to 20,000.", "client"),
		oldest:   gauge("webhook_oldest_pending_seconds", "How long the oldest webhook has waited to be delivered; 0 when none does.", "client"),
		dead:     gauge("webhooks_dead", "Webhooks that are dead letters, until they are replayed or dropped.", "client"),
	}
}

// Attempted implements webhook.Observer.
func (m *Metrics) Attempted(client, outcome string, took time.Duration) {
	m.webhooks.attempts.WithLabelValues(client, outcome).Observe(took.Seconds())
}

// webhookCollector reads the number of webhooks at each scrape.
type webhookCollector struct{ *Metrics }

func (w webhookCollector) gauges() []*prometheus.GaugeVec {
	return []*prometheus.GaugeVec{w.webhooks.pending, w.webhooks.oldest, w.webhooks.dead}
}

// Describe implements prometheus.Collector.
func (w webhookCollector) Describe(to chan<- *prometheus.Desc) {
	for _, gauge := range w.gauges() {
		gauge.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (w webhookCollector) Collect(to chan<- prometheus.Metric) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, gauge := range w.gauges() {
		gauge.Reset()
	}
	for client, of := range ask(w.Metrics, Standing.Webhooks) {
		age := 0.0
		if !of.Oldest.IsZero() {
			age = time.Since(of.Oldest).Seconds()
		}
		w.webhooks.pending.WithLabelValues(client).Set(float64(of.Pending))
		w.webhooks.oldest.WithLabelValues(client).Set(age)
		w.webhooks.dead.WithLabelValues(client).Set(float64(of.Dead))
	}
	for _, gauge := range w.gauges() {
		gauge.Collect(to)
	}
}
