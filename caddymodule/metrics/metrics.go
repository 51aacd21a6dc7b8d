// Package metrics counts what happens in a gateway for Caddy's /metrics; docs/operators.md lists the metrics. No
// label names a user, a token or a session. Each event is pushed by a method of its own; state is read from the
// running configuration at each scrape.
package metrics

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dd2befc3/countersign/audit/keeper"
	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/eps"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

// Metrics are shared by the process and registered again with each configuration's registry, so that counters survive
// a reload.
type Metrics struct {
	answers     *prometheus.HistogramVec // endpoint, code
	tokens      *prometheus.HistogramVec // endpoint, grant, code
	states      *prometheus.CounterVec   // state
	runs        *prometheus.HistogramVec // agent, outcome
	items       *prometheus.CounterVec   // outcome
	storeCalls  *prometheus.HistogramVec // verb, outcome
	keySetAge   *prometheus.GaugeVec     // client, source
	keySetFails *prometheus.GaugeVec     // client, source
	keySetKeys  *prometheus.GaugeVec     // client, source
	keySetOut   *prometheus.GaugeVec     // client, source
	received    *prometheus.CounterVec   // outcome
	held        *prometheus.CounterVec   // outcome
	displays    *prometheus.CounterVec   // outcome

	bars     barsMetrics    // bars.go
	webhooks webhookMetrics // webhooks.go

	running func() Standing
	mu      sync.Mutex // guards gauges that are set while they are collected
}

// Standing reports the state of a configuration.
type Standing interface {
	KeySets() []jwks.SourceStatus
	Webhooks() webhook.Stats
	Catalogues() []bars.SourceStatus
	OpenID() map[string]string  // by issuer: the error of the last fetch, or empty
	Modules() map[string]string // by path of a PKCS#11 module: why it cannot be used, or empty
	Revocations() []*certificates.Revocations
	Expiries() []Expiry
	Audit() *keeper.Status // nil without an audit log
	Pools() []share.Use
}

// Destruct does nothing: the metrics live as long as the process.
func (*Metrics) Destruct() error { return nil }

// New makes the metrics, all at zero. Each scrape calls running for the running configuration; it may return nil, and
// after a failed reload it returns the previous one.
func New(running func() Standing) *Metrics {
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
	m := &Metrics{
		running:     running,
		answers:     histogram("signing_answer_seconds", "Answers of the signing service, by endpoint and code; ok is success.", "endpoint", "code"),
		tokens:      histogram("oauth_answer_seconds", "Answers of the token service, by endpoint, grant and code; ok is success.", "endpoint", "grant", "code"),
		states:      counter("signing_sessions_total", "Sessions that were brought into a state.", "state"),
		runs:        histogram("signing_run_seconds", "Runs of a smartcard agent over a session, by agent and outcome.", "agent", "outcome"),
		items:       counter("signing_items_total", "Items of ended runs, by the run's outcome.", "outcome"),
		storeCalls:  histogram("store_seconds", "Calls of the session store, by verb and outcome (ok, conflict, error).", "verb", "outcome"),
		keySetAge:   gauge("key_set_age_seconds", "Age of a client's key set; -1 while there is none.", "client", "source"),
		keySetFails: gauge("key_set_failing", "1 while the last attempt to read a client's key set failed.", "client", "source"),
		keySetKeys:  gauge("key_set_keys", "Keys of a client's key set that can be used.", "client", "source"),
		keySetOut:   gauge("key_set_left_out", "Keys of a client's key set that cannot be used and were left out.", "client", "source"),
		received:    counter("bars_received_total", "Requests at a BaRS receiver, by outcome: answered, or why not.", "outcome"),
		held:        counter("refusals_held_total", "Refusals to addresses that were refused too often: answered later (waited), or later and the connection closed (closed).", "outcome"),
		displays:    counter("displays_total", "Prescriptions that were prepared through the directive eps, by what became of their displays.", "outcome"),
		bars: barsMetrics{
			answers: histogram("bars_answer_seconds", "Answers of the BaRS proxy, by endpoint, outcome (ok, or its detail code) and whose fault it was.", "endpoint", "outcome", "fault"),
			age:     gauge("bars_catalogue_age_seconds", "Time since an endpoint catalogue was last found to be right; -1 while there is none.", "catalogue"),
			failing: gauge("bars_catalogue_failing", "1 while the last look at an endpoint catalogue failed.", "catalogue"),
			targets: gauge("bars_catalogue_targets", "Targets of an endpoint catalogue that can be reached.", "catalogue"),
		},
		webhooks: newWebhookMetrics(histogram, gauge),
	}
	for _, outcome := range eps.Outcomes() { // a rate of what has never happened is zero, and not nothing
		m.displays.WithLabelValues(outcome)
	}
	return m
}

// Register registers the metrics with a configuration's registry.
func (m *Metrics) Register(registry prometheus.Registerer) error {
	for _, collector := range []prometheus.Collector{m.answers, m.tokens, m.states, m.runs, m.items, m.storeCalls, m.received, m.held, m.displays, keyCollector{m}, listCollector{m}, expiryCollector{m}, openIDCollector{m}, moduleCollector{m}, m.bars.answers, barsCollector{m}, m.webhooks.attempts, webhookCollector{m}, auditCollector{m}, poolCollector{m}} {
		var already prometheus.AlreadyRegisteredError
		if err := registry.Register(collector); err != nil && !errors.As(err, &already) {
			return err
		}
	}
	return nil
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

// Displayed counts a $prepare that has passed by, by what became of its display.
func (m *Metrics) Displayed(outcome string) { m.displays.WithLabelValues(outcome).Inc() }

// TokenAnswered counts an answer of the token service.
func (m *Metrics) TokenAnswered(answer oauth.Answer) {
	m.tokens.WithLabelValues(answer.Endpoint, answer.Grant, answer.Code).Observe(answer.Took.Seconds())
}

// StoreCall counts a call of the store and its duration.
func (m *Metrics) StoreCall(verb, outcome string, took time.Duration) {
	m.storeCalls.WithLabelValues(verb, outcome).Observe(took.Seconds())
}

// Received counts a request at a BaRS receiver: answered, or why not.
func (m *Metrics) Received(outcome string) { m.received.WithLabelValues(outcome).Inc() }

// Held counts a delayed refusal: answered later (waited), or later with the connection closed (closed).
func (m *Metrics) Held(outcome string) { m.held.WithLabelValues(outcome).Inc() }

// ask reads from the running configuration, if there is one.
func ask[T any](m *Metrics, question func(Standing) T) (answer T) {
	if standing := m.running(); standing != nil {
		answer = question(standing)
	}
	return answer
}

// keyCollector reads the state of the clients' key sets at each scrape.
type keyCollector struct{ *Metrics }

// Describe implements prometheus.Collector.
func (k keyCollector) Describe(to chan<- *prometheus.Desc) {
	k.keySetAge.Describe(to)
	k.keySetFails.Describe(to)
	k.keySetKeys.Describe(to)
	k.keySetOut.Describe(to)
}

// Collect implements prometheus.Collector.
func (k keyCollector) Collect(to chan<- prometheus.Metric) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keySetAge.Reset()
	k.keySetFails.Reset()
	k.keySetKeys.Reset()
	k.keySetOut.Reset()
	for _, status := range ask(k.Metrics, Standing.KeySets) {
		age, failing := -1.0, 0.0
		if !status.Read.IsZero() {
			age = time.Since(status.Read).Seconds()
		}
		if status.Error != "" {
			failing = 1
		}
		k.keySetAge.WithLabelValues(status.Client, status.Source).Set(age)
		k.keySetFails.WithLabelValues(status.Client, status.Source).Set(failing)
		k.keySetKeys.WithLabelValues(status.Client, status.Source).Set(float64(len(status.Keys)))
		k.keySetOut.WithLabelValues(status.Client, status.Source).Set(float64(len(status.Skipped)))
	}
	k.keySetAge.Collect(to)
	k.keySetFails.Collect(to)
	k.keySetKeys.Collect(to)
	k.keySetOut.Collect(to)
}
