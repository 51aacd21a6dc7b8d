package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dd2befc3/countersign/certificates"
)

// listCollector reads the state of the revocation lists at each scrape. Labels are hosts that the configuration
// names, because an issuer may split its list into thousands.
type listCollector struct{ *Metrics }

var (
	listStates  = prometheus.NewDesc("countersign_crl_lists", "Revocation lists, by host and state: current, expired or missing.", []string{"host", "state"}, nil)
	listFailing = prometheus.NewDesc("countersign_crl_failing", "Revocation lists whose last fetch failed.", []string{"host"}, nil)
	listAge     = prometheus.NewDesc("countersign_crl_age_seconds", "Time since the revocation list that was not renewed for longest was fetched.", []string{"host"}, nil)
	listFetches = prometheus.NewDesc("countersign_crl_fetches_total", "Fetches of revocation lists and questions to responders, by outcome: ok or failed.", []string{"host", "outcome"}, nil)
)

// Describe implements prometheus.Collector.
func (listCollector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{listStates, listFailing, listAge, listFetches} {
		to <- desc
	}
}

// hostLists counts the lists of one host.
type hostLists struct {
	current, expired, missing, failing float64
	oldest                             time.Duration
	fetched, failed                    float64
}

// Collect implements prometheus.Collector.
func (l listCollector) Collect(to chan<- prometheus.Metric) {
	for host, n := range l.count() {
		gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{host}, labels...)...)
		}
		gauge(listStates, n.current, "current")
		gauge(listStates, n.expired, "expired")
		gauge(listStates, n.missing, "missing")
		gauge(listFailing, n.failing)
		gauge(listAge, n.oldest.Seconds())
		to <- prometheus.MustNewConstMetric(listFetches, prometheus.CounterValue, n.fetched, host, "ok")
		to <- prometheus.MustNewConstMetric(listFetches, prometheus.CounterValue, n.failed, host, "failed")
	}
}

func (l listCollector) count() map[string]*hostLists {
	hosts := map[string]*hostLists{}
	of := func(host string) *hostLists {
		if hosts[host] == nil {
			hosts[host] = &hostLists{}
		}
		return hosts[host]
	}
	for _, r := range ask(l.Metrics, Standing.Revocations) {
		for _, list := range r.Lists() {
			of(certificates.Host(list.URL)).add(list)
		}
		for _, tally := range r.Tallies() {
			n := of(tally.Host)
			n.fetched += float64(tally.Fetched)
			n.failed += float64(tally.Failed)
		}
	}
	return hosts
}

func (n *hostLists) add(list certificates.ListStatus) {
	switch {
	case list.Current:
		n.current++
	case list.NextUpdate.IsZero():
		n.missing++
	default:
		n.expired++
	}
	if list.Error != "" {
		n.failing++
	}
	if !list.Read.IsZero() {
		n.oldest = max(n.oldest, time.Since(list.Read))
	}
}

// Interface guards.
var _ prometheus.Collector = listCollector{}
