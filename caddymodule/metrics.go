package caddymodule

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/signing"
)

// metrics counts what happens, for Caddy's /metrics. It is one for the process, registered anew with each
// configuration's registry, so that counters go on over a reload. No label names a user, a token or a session.
type metrics struct {
	answers     *prometheus.HistogramVec // endpoint, code
	tokens      *prometheus.HistogramVec // endpoint, grant, code
	states      *prometheus.CounterVec   // state
	runs        *prometheus.HistogramVec // agent, outcome
	items       *prometheus.CounterVec   // outcome
	storeCalls  *prometheus.HistogramVec // verb, outcome
	keySetAge   *prometheus.GaugeVec     // client, source
	keySetFails *prometheus.GaugeVec     // client, source
	certificate *prometheus.GaugeVec     // kind, subject
	received    *prometheus.CounterVec   // outcome
	held        *prometheus.CounterVec   // outcome

	bars     barsMetrics    // metrics_bars.go
	webhooks webhookMetrics // metrics_webhooks.go

	lists listMetrics

	mu   sync.Mutex
	keys func() []jwks.SourceStatus // of the configuration that was started last
}

// Destruct ends with the process.
func (*metrics) Destruct() error { return nil }

func newMetrics() *metrics {
	seconds := []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "countersign", Name: name, Help: help, Buckets: seconds,
		}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "countersign", Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "countersign", Name: name, Help: help}, labels)
	}
	return &metrics{
		answers:     histogram("signing_answer_seconds", "Answers of the signing service, by endpoint and code; ok is success.", "endpoint", "code"),
		tokens:      histogram("oauth_answer_seconds", "Answers of the token service, by endpoint, grant and code; ok is success.", "endpoint", "grant", "code"),
		states:      counter("signing_sessions_total", "Sessions that were brought into a state.", "state"),
		runs:        histogram("signing_run_seconds", "Runs of a smartcard agent over a session, by agent and outcome.", "agent", "outcome"),
		items:       counter("signing_items_total", "Items of ended runs, by the run's outcome.", "outcome"),
		storeCalls:  histogram("store_seconds", "Calls of the session store, by verb and outcome (ok, conflict, error).", "verb", "outcome"),
		keySetAge:   gauge("key_set_age_seconds", "Age of a client's key set; -1 while there is none.", "client", "source"),
		keySetFails: gauge("key_set_failing", "1 while the last attempt to read a client's key set failed.", "client", "source"),
		certificate: gauge("certificate_expiry_timestamp_seconds", "When a certificate that the gateway depends on expires.", "kind", "subject"),
		received:    counter("bars_received_total", "Requests at a BaRS receiver, by outcome: answered, or why not.", "outcome"),
		held:        counter("refusals_held_total", "Refusals to addresses that were refused too often: answered later (waited), or later and the connection closed (closed).", "outcome"),
		bars: barsMetrics{
			answers: histogram("bars_answer_seconds", "Answers of the BaRS proxy, by endpoint, outcome (ok, or its detail code) and whose fault it was.", "endpoint", "outcome", "fault"),
			age:     gauge("bars_catalogue_age_seconds", "Time since an endpoint catalogue was last found to be right; -1 while there is none.", "catalogue"),
			failing: gauge("bars_catalogue_failing", "1 while the last look at an endpoint catalogue failed.", "catalogue"),
			targets: gauge("bars_catalogue_targets", "Targets of an endpoint catalogue that can be reached.", "catalogue"),
		},
		webhooks: newWebhookMetrics(histogram, gauge),
	}
}

// provisionMetrics finds the process's counters and registers them with the configuration's registry.
func (a *App) provisionMetrics(ctx caddy.Context) error {
	m, err := a.metrics.acquire("metrics", func() (*metrics, error) { return newMetrics(), nil })
	if err != nil {
		return err
	}
	m.watchKeys(a.keys.Status)
	m.watchWebhooks(a.webhookStats)
	registry := ctx.GetMetricsRegistry()
	if registry == nil {
		return nil
	}
	for _, collector := range []prometheus.Collector{m.answers, m.tokens, m.states, m.runs, m.items, m.storeCalls, m.certificate, m.received, m.held, keyCollector{m}, &m.lists, m.bars.answers, &m.bars, m.webhooks.attempts, webhookCollector{m}} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(collector); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}

func (m *metrics) watchKeys(status func() []jwks.SourceStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = status
}

func (m *metrics) watchCertificates(kind string, certificates ...*x509.Certificate) {
	for _, c := range certificates {
		m.certificate.WithLabelValues(kind, subjectOf(c)).Set(float64(c.NotAfter.Unix()))
	}
}

// Answered implements signing.Observer.
func (m *metrics) Answered(_ context.Context, answer signing.Answer) {
	m.answers.WithLabelValues(answer.Endpoint, answer.Code).Observe(answer.Took.Seconds())
}

// Entered implements signing.Observer.
func (m *metrics) Entered(_ context.Context, state signing.State) {
	m.states.WithLabelValues(string(state)).Inc()
}

// RunEnded implements signing.Observer.
func (m *metrics) RunEnded(_ context.Context, run signing.Run) {
	m.runs.WithLabelValues(run.Agent, run.Outcome).Observe(run.Took.Seconds())
	m.items.WithLabelValues(run.Outcome).Add(float64(run.Items))
}

// keyCollector asks how the clients' key sets are at the time of a scrape.
type keyCollector struct{ *metrics }

// Describe implements prometheus.Collector.
func (k keyCollector) Describe(to chan<- *prometheus.Desc) {
	k.keySetAge.Describe(to)
	k.keySetFails.Describe(to)
}

// Collect implements prometheus.Collector.
func (k keyCollector) Collect(to chan<- prometheus.Metric) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keySetAge.Reset()
	k.keySetFails.Reset()
	for _, status := range k.keys() {
		age, failing := -1.0, 0.0
		if !status.Read.IsZero() {
			age = time.Since(status.Read).Seconds()
		}
		if status.Error != "" {
			failing = 1
		}
		k.keySetAge.WithLabelValues(status.Client, status.Source).Set(age)
		k.keySetFails.WithLabelValues(status.Client, status.Source).Set(failing)
	}
	k.keySetAge.Collect(to)
	k.keySetFails.Collect(to)
}
