package caddymodule

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/tracing"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-dd2befc3/countersign/redact"
)

// span starts a span below the one that Caddy's tracing directive put into the context. Without that directive it does
// nothing. An error only sets the span's status, because its text may hold more than a trace should keep.
func span(ctx context.Context, name string) (context.Context, func(error)) {
	ctx, begun := trace.SpanFromContext(ctx).TracerProvider().Tracer(modulePath).Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			begun.SetStatus(codes.Error, "failed")
		}
		begun.End()
	}
}

// spanProcessors is the part of a tracer provider where a processor can be registered.
type spanProcessors interface {
	RegisterSpanProcessor(sdk.SpanProcessor)
	UnregisterSpanProcessor(sdk.SpanProcessor)
}

// cleanSpans keeps secrets out of this configuration's spans until the returned function is called.
func (a *App) cleanSpans() (end func(), err error) {
	app, err := a.config.AppIfConfigured("http")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return func() {}, nil
	}
	if err != nil {
		return nil, err
	}
	return cleanSpans(app.(*caddyhttp.App)), nil
}

// cleanSpans removes the tokens in addresses from the spans of Caddy's tracing directive, wherever it is configured. The
// returned function ends that.
func cleanSpans(app *caddyhttp.App) (end func()) {
	provider, ok := tracerProvider(app).(spanProcessors)
	if !ok {
		return func() {}
	}
	cleaner := &spanCleaner{}
	provider.RegisterSpanProcessor(cleaner)
	return func() { provider.UnregisterSpanProcessor(cleaner) }
}

// tracerProvider returns the provider that all tracing directives share, or nil. Caddy does not export it, but each span
// knows its provider, so this starts a span that is not sampled.
func tracerProvider(app *caddyhttp.App) (found trace.TracerProvider) {
	handler := tracingHandler(app)
	if handler == nil {
		return nil
	}
	ctx := context.WithValue(context.Background(), caddy.ReplacerCtxKey, caddy.NewReplacer())
	ctx = context.WithValue(ctx, caddyhttp.VarsCtxKey, map[string]any{})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	if err != nil {
		return nil
	}
	r.Header.Set("Traceparent", "00-00000000000000000000000000000001-0000000000000001-00")
	_ = handler.ServeHTTP(nowhere{}, r, caddyhttp.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		found = trace.SpanFromContext(r.Context()).TracerProvider()
		return nil
	}))
	return found
}

// tracingHandler finds a tracing directive in a configuration.
func tracingHandler(app *caddyhttp.App) *tracing.Tracing {
	for _, server := range app.Servers {
		routes := slices.Concat(server.Routes, errorRoutes(server.Errors))
		for _, named := range server.NamedRoutes {
			routes = append(routes, *named)
		}
		if found := tracingAmong(routes); found != nil {
			return found
		}
	}
	return nil
}

func tracingAmong(routes caddyhttp.RouteList) *tracing.Tracing {
	for _, route := range routes {
		for _, handler := range route.Handlers {
			switch is := handler.(type) {
			case *tracing.Tracing:
				return is
			case *caddyhttp.Subroute:
				if found := tracingAmong(slices.Concat(is.Routes, errorRoutes(is.Errors))); found != nil {
					return found
				}
			}
		}
	}
	return nil
}

func errorRoutes(of *caddyhttp.HTTPErrorConfig) caddyhttp.RouteList {
	if of == nil {
		return nil
	}
	return of.Routes
}

// nowhere discards an answer.
type nowhere struct{}

func (nowhere) Header() http.Header            { return http.Header{} }
func (nowhere) Write(data []byte) (int, error) { return len(data), nil }
func (nowhere) WriteHeader(int)                {}

// spanCleaner removes secrets from spans as they start. It must not be an empty struct, because it is registered by its
// address.
type spanCleaner struct{ _ byte }

// OnStart implements sdk.SpanProcessor.
func (*spanCleaner) OnStart(_ context.Context, span sdk.ReadWriteSpan) {
	if name := cleanWords(span.Name()); name != span.Name() {
		span.SetName(name)
	}
	var changed []attribute.KeyValue
	for _, has := range span.Attributes() {
		if has.Value.Type() != attribute.STRING {
			continue
		}
		if value := cleanAttribute(string(has.Key), has.Value.AsString()); value != has.Value.AsString() {
			changed = append(changed, attribute.String(string(has.Key), value))
		}
	}
	span.SetAttributes(changed...)
}

// cleanAttribute handles the attribute names of the old and the new OpenTelemetry conventions.
func cleanAttribute(key, value string) string {
	switch key {
	case "url.path":
		return redact.Path(value)
	case "url.query":
		return redact.Query(value)
	case "url.full", "http.url", "http.target", "http.route":
		return redact.URI(value)
	}
	return redact.Text(value)
}

// cleanWords cleans a span name, which may consist of a method and an address.
func cleanWords(name string) string {
	words := strings.Split(name, " ")
	for i, word := range words {
		if strings.Contains(word, "/") {
			words[i] = redact.URI(word)
		}
	}
	return strings.Join(words, " ")
}

// OnEnd implements sdk.SpanProcessor.
func (*spanCleaner) OnEnd(sdk.ReadOnlySpan) {}

// Shutdown implements sdk.SpanProcessor.
func (*spanCleaner) Shutdown(context.Context) error { return nil }

// ForceFlush implements sdk.SpanProcessor.
func (*spanCleaner) ForceFlush(context.Context) error { return nil }

// Interface guards.
var _ sdk.SpanProcessor = (*spanCleaner)(nil)
