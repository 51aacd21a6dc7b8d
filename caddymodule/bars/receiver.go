package bars

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/bars/openapi"
	"github.com/seed-dd2befc3/countersign/caddymodule/metrics"
	"github.com/seed-dd2befc3/countersign/description"
	"github.com/seed-dd2befc3/countersign/intake"
)

func init() {
	caddy.RegisterModule(Receiver{})
}

// Receiver stands in front of a provider's system and admits only the BaRS proxy (BAR-3): by mutual TLS against the
// environment's chain, and by address. Put it first in its site, before reverse_proxy.
//
//	handshake ─▶ certificate, chain ─▶ SNI = Host ─▶ address ─▶ the provider's system ─▶ answer
//	             (policy and handler)                           (at most Timeout)
//
// Only a refused caller gets 403. Failures behind the receiver are answered with an OperationOutcome. No header about
// a caller's certificate reaches the system.
type Receiver struct {
	ReceiverTrust

	// FQDN lists the names of the system, as in its certificate and the endpoint catalogue. Default: the names of the
	// site, which are the SNI names of the connection policies with the same trust and certificate.
	FQDN []string `json:"fqdn,omitempty"`

	// Strict refuses names that break the naming rules. Default: they are logged as a warning.
	Strict bool `json:"strict,omitempty"`

	// Certificate is the PEM file of the system's own certificate, if it comes from a file. It is checked against the
	// names and the chain, and its expiry is watched.
	Certificate string `json:"certificate,omitempty"`

	// ProxyAddresses are the addresses and networks the proxy calls from, or "any" outside production. Default: those
	// of the environment's public proxy.
	ProxyAddresses []string `json:"proxy_addresses,omitempty"`

	// ClientIP takes the caller's address from the server's trusted_proxies, for a load balancer that passes TLS
	// through and is one of them. Default: the TCP peer.
	ClientIP bool `json:"client_ip,omitempty"`

	// Timeout is the time for the system's whole answer. Default and maximum: 30 s, because the proxy gives up after
	// 32.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Health is a path that answers 200, to any address, for probes that present a certificate of the chain. Probes
	// without one need a listener of their own. Under it /openapi.json describes the receiver's answers.
	Health string `json:"health,omitempty"`

	trust   *bars.Trust
	allowed []netip.Prefix // nil: any
	metrics *metrics.Metrics
	logger  *slog.Logger
	expiry  *expiryWatch
}

const receiverTimeout = 30 * time.Second

// CaddyModule returns the module's information for Caddy.
func (Receiver) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.bars_receiver", New: func() caddy.Module { return new(Receiver) }}
}

// ServeHTTP passes on the proxy's requests and refuses all others.
func (rc *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return intake.Guard(w, r, func(w http.ResponseWriter, r *http.Request) error { return rc.serve(w, r, next) })
}

func (rc *Receiver) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	dropForged(r.Header)
	rc.expiry.remind(r.Context())
	if err := rc.checkTLS(r); err != nil {
		return rc.refuse(w, r, "tls", bars.FaultProxy, err)
	}
	if rc.answersProbe(w, r) {
		return nil
	}
	if err := rc.checkAddress(r); err != nil {
		return rc.refuse(w, r, "address", bars.FaultNetwork, err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(rc.Timeout))
	defer cancel()
	answer := &receiverAnswer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, request: r}
	bars.DropHop(r.Header)
	bars.SendOnce(r)
	passed := r.WithContext(ctx)
	body := bars.WatchBody(passed, math.MaxInt64)
	intake.PassOn(r)
	err := next.ServeHTTP(answer, passed)
	switch {
	case r.Context().Err() != nil:
		rc.metrics.Received("gone")
		return caddyhttp.Error(499, context.Cause(r.Context()))
	case answer.begun && err == nil:
		rc.metrics.Received("answered")
		if answer.kept403 {
			rc.logger.LogAttrs(r.Context(), slog.LevelWarn, "the system answered 403, which a proxy would take for a TLS-MA failure: sent 422 instead",
				slog.String("fault", string(bars.FaultReceiver)), slog.String("request_id", r.Header.Get(bars.HeaderRequestID)))
		}
		return nil
	case answer.begun:
		rc.metrics.Received("cut")
		return err // the answer has begun, so no other can be sent
	}
	late := ctx.Err() != nil
	switch {
	case late && body.Awaited():
		return rc.fail(w, r, err, bars.SlowSender)
	case !late && body.Broken() != nil:
		return rc.fail(w, r, fmt.Errorf("reading the body: %w", body.Broken()), bars.BadBody)
	}
	return rc.fail(w, r, err, failureOf(err, late, time.Duration(rc.Timeout)))
}

// answersProbe answers the health path and the description under it.
func (rc *Receiver) answersProbe(w http.ResponseWriter, r *http.Request) bool {
	described := strings.TrimSuffix(rc.Health, "/") + description.Path
	switch {
	case rc.Health == "":
		return false
	case r.URL.Path == rc.Health:
		w.Header().Set("Link", "<"+described+`>; rel="service-desc"; type="application/json"`)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n")) // the probe may have gone
		return true
	case r.URL.Path == described && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		openapi.Serve(w, r)
		return true
	}
	return false
}

// checkTLS checks the connection itself, never a header.
func (rc *Receiver) checkTLS(r *http.Request) error {
	if err := rc.trust.CheckConnection(r.TLS); err != nil {
		return err
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !strings.EqualFold(r.TLS.ServerName, host) {
		return fmt.Errorf("the SNI name %q differs from the header Host %q", r.TLS.ServerName, host)
	}
	return nil
}

// checkAddress checks the address a caller comes from.
func (rc *Receiver) checkAddress(r *http.Request) error {
	if rc.allowed == nil {
		return nil
	}
	address := r.RemoteAddr
	if rc.ClientIP {
		address, _ = caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	}
	if host, _, err := net.SplitHostPort(address); err == nil {
		address = host
	}
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return errors.New("the caller's address is not known")
	}
	addr = addr.Unmap().WithZone("")
	for _, prefix := range rc.allowed {
		if prefix.Contains(addr) {
			return nil
		}
	}
	return fmt.Errorf("the caller's address %s is not in proxy_addresses", addr)
}

// refuse answers a caller that is not the proxy. The reason is only logged.
func (rc *Receiver) refuse(w http.ResponseWriter, r *http.Request, check string, fault bars.Fault, why error) error {
	rc.metrics.Received(check)
	outcome := bars.Forbidden.Named()
	rc.logger.LogAttrs(r.Context(), slog.LevelWarn, "caller refused: not the proxy of this environment",
		slog.String("check", check), slog.String("fault", string(fault)), slog.String("peer", r.RemoteAddr),
		slog.String("request_id", r.Header.Get(bars.HeaderRequestID)), slog.String("outcome_id", outcome.ID), slog.Any("error", why))
	outcome.Write(w, r)
	return nil
}

// fail answers a request that the system behind did not answer.
func (rc *Receiver) fail(w http.ResponseWriter, r *http.Request, err error, outcome *bars.Outcome) error {
	intake.TakeBack(r)
	outcome = outcome.Named()
	rc.metrics.Received(strings.ToLower(strings.TrimPrefix(outcome.Code, "REC_")))
	rc.logger.LogAttrs(r.Context(), slog.LevelError, "the receiver's system did not answer",
		slog.String("fault", string(outcome.Fault)), slog.String("outcome", outcome.Code), slog.Int("status", outcome.Status),
		slog.String("request_id", r.Header.Get(bars.HeaderRequestID)), slog.String("outcome_id", outcome.ID), slog.Any("error", err))
	outcome.Write(w, r)
	return nil
}

// failureOf returns what a proxy is told of an error of the next handlers.
func failureOf(err error, late bool, timeout time.Duration) *bars.Outcome {
	status := 0
	if handled, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
		status = handled.StatusCode
	}
	switch {
	case late || status == http.StatusGatewayTimeout:
		return bars.TimedOut.Saying("The receiver's system did not answer within %s.", timeout)
	case status == http.StatusBadGateway || status == http.StatusServiceUnavailable:
		return bars.Unavailable.Saying("The receiver's system cannot be reached at the moment. Try again later.")
	case status == http.StatusInsufficientStorage:
		return bars.NotStored
	case status >= 400 && status < 500 && status != http.StatusForbidden:
		return &bars.Outcome{Status: status, Issue: "invalid", Code: "REC_BAD_REQUEST", Fault: bars.FaultSender,
			Text: "The receiver does not take this request: " + http.StatusText(status) + "."}
	}
	return bars.Failed
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Receiver)(nil)
	_ caddyhttp.MiddlewareHandler = (*Receiver)(nil)
)
