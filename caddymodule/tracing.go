package caddymodule

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// span begins a span below the one that Caddy's tracing directive put into the context. Without that directive the
// provider is one that does nothing. An error is marked, not quoted: its text may say more than a trace should keep.
func span(ctx context.Context, name string) (context.Context, func(error)) {
	ctx, begun := trace.SpanFromContext(ctx).TracerProvider().Tracer(modulePath).Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			begun.SetStatus(codes.Error, "failed")
		}
		begun.End()
	}
}
