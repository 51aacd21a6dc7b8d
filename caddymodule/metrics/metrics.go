// Package metrics counts what happens in a gateway, for Caddy's /metrics; docs/operators.md lists what there is. No label
// names a user, a token or a session. What is counted is pushed by a method each; what is a state is asked for at the time
// of a scrape, from who was named last by a Watch method.
package metrics

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
)

// Metrics are one for the process, registered anew with each configuration's registry, so that counters go on over a
// reload.
type Metrics struct {
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

	bars     barsMetrics    // bars.go
	webhooks webhookMetrics // webhooks.go
	lists    listMetrics    // revocations.go

	mu   sync.Mutex
	keys func() []jwks.SourceStatus // of the configuration that was started last
}

// Destruct ends with the process.
func (*Metrics) Destruct() error { return nil }

// New makes them, all at nothing.
func New() *Metrics {
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
	return &Metrics{
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

// Register has a configuration's registry show them.
func (m *Metrics) Register(registry prometheus.Registerer) error {
	for _, collector := range []prometheus.Collector{m.answers, m.tokens, m.states, m.runs, m.items, m.storeCalls, m.certificate, m.received, m.held, keyCollector{m}, &m.lists, m.bars.answers, &m.bars, m.webhooks.attempts, webhookCollector{m}} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(collector); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
}

// WatchKeys names who knows how the clients' key sets are.
func (m *Metrics) WatchKeys(status func() []jwks.SourceStatus) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keys = status
}

// WatchCertificates notes when certificates expire: those of an issuer, of a chain, or our own, as the kind says.
func (m *Metrics) WatchCertificates(kind string, certificates ...*x509.Certificate) {
	for _, c := range certificates {
		m.certificate.WithLabelValues(kind, subjectOf(c)).Set(float64(c.NotAfter.Unix()))
	}
}

// Answered implements signing.Observer.
func (m *Metrics) Answered(_ context.Context, answer signing.Answer) {
	m.answers.WithLabelValues(answer.Endpoint, answer.Code).Observe(answer.Took.Seconds())
}

// Entered implements signing.Observer.
func (m *Metrics) Entered(_ context.Context, state signing.State) {
	m.states.WithLabelValues(string(state)).Inc()
}

// RunEnded implements signing.Observer.
func (m *Metrics) RunEnded(_ context.Context, run signing.Run) {
	m.runs.WithLabelValues(run.Agent, run.Outcome).Observe(run.Took.Seconds())
	m.items.WithLabelValues(run.Outcome).Add(float64(run.Items))
}

// TokenAnswered counts an answer of the token service.
func (m *Metrics) TokenAnswered(answer oauth.Answer) {
	m.tokens.WithLabelValues(answer.Endpoint, answer.Grant, answer.Code).Observe(answer.Took.Seconds())
}

// StoreCall counts a call of the store, and how long it took.
func (m *Metrics) StoreCall(verb, outcome string, took time.Duration) {
	m.storeCalls.WithLabelValues(verb, outcome).Observe(took.Seconds())
}

// Received counts a request at a BaRS receiver: answered, or why not.
func (m *Metrics) Received(outcome string) { m.received.WithLabelValues(outcome).Inc() }

// Held counts a refusal that was held back: answered later (waited), or later and the connection closed (closed).
func (m *Metrics) Held(outcome string) { m.held.WithLabelValues(outcome).Inc() }

// keyCollector asks how the clients' key sets are at the time of a scrape.
type keyCollector struct{ *Metrics }

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
