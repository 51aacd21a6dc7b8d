package bars

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

// maxLogged bounds caller-supplied text in a log field, in bytes.
const maxLogged = 200

// FailedMessage is the log message of a failed request. The command why searches for it.
const FailedMessage = "BaRS request failed"

// tell counts a request, and logs and records a failure together with whose fault it is.
func (b *Proxy) tell(r *http.Request, call *bars.Call, took time.Duration) {
	b.app.Metrics().Brokered(call, took)
	if call.Outcome == nil {
		return
	}
	report := barsReport(r, call)
	report.Time = b.app.Now().UTC()
	b.app.Remember(report)
	level := slog.LevelWarn
	if call.Outcome.Fault == bars.FaultSender {
		level = slog.LevelInfo
	}
	b.logger.LogAttrs(r.Context(), level, FailedMessage,
		slog.String("fault", report.Fault), slog.Int("status", report.Status), slog.String("code", report.Code),
		slog.String("answer", report.Answer), slog.String("outcome_id", call.Outcome.ID), slog.String("detail", report.Detail),
		slog.String("endpoint", report.Endpoint), slog.String("client", report.Client),
		slog.String("request_id", report.RequestID), slog.String("correlation_id", report.CorrelationID),
		slog.String("target", report.Target), slog.Duration("took", took))
}

func barsReport(r *http.Request, call *bars.Call) adminapi.Refusal {
	report := adminapi.Refusal{
		RequestID: clip(r.Header.Get(bars.HeaderRequestID)), CorrelationID: clip(r.Header.Get(bars.HeaderCorrelationID)),
		Endpoint: call.Endpoint, Client: call.App, Status: call.Outcome.Status, Code: call.Outcome.Code,
		Fault: string(call.Outcome.Fault), Answer: call.Outcome.Diagnostics(), Detail: clip(call.Outcome.Detail),
	}
	if call.Target != (bars.Target{}) {
		report.Target = clip(call.Target.System + " " + call.Target.Value)
	}
	if call.Address != nil {
		report.Target += " at " + call.Address.Host
	}
	return report
}

func clip(text string) string { return text[:min(len(text), maxLogged)] }
