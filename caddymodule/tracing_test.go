package caddymodule

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"

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

// Caddy's spans begin without what an address may hold, by OpenTelemetry's names of today and of old.
func TestSpansBeginWithoutSecrets(t *testing.T) {
	const token = "f523a772-24f2-45d6-a8da-59b48de0231a"
	exporter := tracetest.NewInMemoryExporter()
	provider := trace.NewTracerProvider(trace.WithSyncer(exporter))
	cleaner := &spanCleaner{}
	provider.RegisterSpanProcessor(cleaner)
	begin := func() {
		_, span := provider.Tracer("caddy").Start(t.Context(), "GET /client?token="+token, oteltrace.WithAttributes(
			attribute.String("url.path", "/signatureresponse/"+token), attribute.String("url.query", "token="+token+"&mock=true"),
			attribute.String("url.full", "http://localhost/client?token="+token), attribute.String("http.target", "/client?token="+token),
			attribute.String("note", "at /client?token="+token), attribute.String("http.request.method", "GET"), attribute.Int("size", 7)))
		span.End()
	}
	begin()
	span := exporter.GetSpans()[0]
	if text := fmt.Sprint(span.Name, span.Attributes); strings.Contains(text, token) || !strings.Contains(text, "mock=true") || !strings.Contains(text, "GET") {
		t.Errorf("the span is %s", text)
	}
	if len(span.Attributes) != 7 {
		t.Errorf("got %d attributes, want 7: %v", len(span.Attributes), span.Attributes)
	}
	provider.UnregisterSpanProcessor(cleaner)
	begin()
	if span := exporter.GetSpans()[1]; !strings.Contains(fmt.Sprint(span.Attributes), token) {
		t.Errorf("without the cleaner the span is %v", span.Attributes)
	}
}
