package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dd2befc3/countersign/audit/keeper"
)

var (
	auditFailing = prometheus.NewDesc("countersign_audit_failing",
		"1 while the audit log cannot be written.", []string{"node"}, nil)
	auditHeadFailing = prometheus.NewDesc("countersign_audit_head_failing",
		"1 while the audit log's head cannot be signed.", []string{"node"}, nil)
	auditHead = prometheus.NewDesc("countersign_audit_head",
		"The number of the audit log's last signed head, with its hash: whoever keeps both can show later that the log was cut or replaced.", []string{"node", "hash"}, nil)
	auditUnsigned = prometheus.NewDesc("countersign_audit_unsigned_entries",
		"Entries of the audit log behind its last head.", []string{"node"}, nil)
	auditWaiting = prometheus.NewDesc("countersign_audit_files_waiting",
		"Files of the audit log that are older than keep, and that no head handed outside covers.", []string{"node"}, nil)
	auditKeepFailing = prometheus.NewDesc("countersign_audit_keep_failing",
		"1 while files of the audit log that may go cannot be removed.", []string{"node"}, nil)
	auditHanded = prometheus.NewDesc("countersign_audit_handed",
		"The number of the furthest entry of the audit log that was handed outside.", []string{"node"}, nil)
	auditMissing = prometheus.NewDesc("countersign_audit_missing",
		"1 for a log that is not as the store remembers it, with what is wrong; 0 for one that is.", []string{"node", "what"}, nil)
)

// auditCollector reports the audit log of the running configuration, and the logs the store remembers.
type auditCollector struct{ *Metrics }

// Describe implements prometheus.Collector.
func (auditCollector) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{auditFailing, auditHeadFailing, auditHead, auditUnsigned, auditWaiting, auditKeepFailing, auditHanded, auditMissing} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (a auditCollector) Collect(to chan<- prometheus.Metric) {
	log := ask(a.Metrics, Standing.Audit)
	if log == nil {
		return
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	flag := func(desc *prometheus.Desc, why, node string) {
		value := 0.0
		if why != "" {
			value = 1
		}
		gauge(desc, value, node)
	}
	flag(auditFailing, log.Health.Error, log.Node)
	flag(auditHeadFailing, log.HeadError, log.Node)
	gauge(auditHead, float64(log.Head.Number), log.Node, log.Head.Hash)
	gauge(auditUnsigned, float64(log.Unsigned), log.Node)
	gauge(auditWaiting, float64(log.Waiting), log.Node)
	flag(auditKeepFailing, log.Retention.Error, log.Node)
	handed := 0.0
	if log.Handed != nil {
		handed = float64(log.Handed.Number)
	}
	gauge(auditHanded, handed, log.Node)
	collectMissing(log, gauge)
}

// collectMissing reports each remembered node once, or once for each way in which its logs are missing.
func collectMissing(log *keeper.Status, gauge func(*prometheus.Desc, float64, ...string)) {
	told := map[[2]string]bool{}
	wrong := map[string]bool{}
	for _, m := range log.Missing {
		wrong[m.Node] = true
		if key := [2]string{m.Node, string(m.What)}; !told[key] {
			told[key] = true
			gauge(auditMissing, 1, m.Node, string(m.What))
		}
	}
	for _, n := range log.Nodes {
		if !wrong[n.Node] {
			gauge(auditMissing, 0, n.Node, "")
		}
	}
}
