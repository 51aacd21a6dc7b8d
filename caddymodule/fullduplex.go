package caddymodule

import (
	"log/slog"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// fullDuplex names the servers of a configuration with enable_full_duplex on.
func fullDuplex(ctx caddy.Context) []string {
	found, err := ctx.AppIfConfigured("http")
	app, ok := found.(*caddyhttp.App)
	if err != nil || !ok {
		return nil
	}
	var names []string
	for name, server := range app.Servers {
		if server.EnableFullDuplex {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// warnOfFullDuplex warns that package intake protects only this gateway's directives. Caddy's own handlers leave an unread
// body in the connection, where its bytes are parsed as the next request (Caddy 2.11.9).
func (a *App) warnOfFullDuplex() {
	for _, server := range a.servers() {
		a.logger.Warn("enable_full_duplex is on: after an answer of Caddy's own, such as a 404 or a redirect, the rest of a request's body "+
			"is taken for the next request, which may be another caller's behind a load balancer; take it out of the global option servers",
			slog.String("server", server))
	}
}
