package caddymodule

import (
	"errors"
	"testing"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-dd2befc3/countersign/caddymodule/metrics"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// Spans of ours stand below the one that Caddy's tracing has begun, and hold no text of an error.
func TestSpansStandBelowCaddys(t *testing.T) {
	exporter := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(exporter))
	ctx, caddys := provider.Tracer("caddy").Start(t.Context(), "request")
	within, end := span(ctx, "countersign authenticate")
	sessions := newTimedStore(memory.New(memory.Options{}), metrics.New(running.standing))
	if _, err := sessions.Get(within, "session/none"); err != nil {
		t.Fatal(err)
	}
	end(errors.New("secret"))
	caddys.End()
	spans := exporter.GetSpans()
	if len(spans) != 3 {
		t.Fatalf("%d spans", len(spans))
	}
	get, ours, theirs := spans[0], spans[1], spans[2]
	if get.Name != "countersign store get" || get.Parent.SpanID() != ours.SpanContext.SpanID() {
		t.Errorf("the store's span: %+v", get)
	}
	if ours.Name != "countersign authenticate" || ours.Parent.SpanID() != theirs.SpanContext.SpanID() {
		t.Errorf("our span: %+v", ours)
	}
	if ours.Status.Code != codes.Error || ours.Status.Description != "failed" || len(ours.Events) != 0 {
		t.Errorf("the error is told as %+v %+v", ours.Status, ours.Events)
	}
}

func TestWithoutTracingNothingHappens(t *testing.T) {
	ctx, end := span(t.Context(), "countersign authenticate")
	end(nil)
	if ctx == nil {
		t.Error("no context")
	}
}
