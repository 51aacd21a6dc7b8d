package bars

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// TestProxyDefaults checks the defaults of a proxy (BAR-1.7 to BAR-1.9).
func TestProxyDefaults(t *testing.T) {
	for environment, rate := range map[caddymodule.Environment]int{caddymodule.Sandbox: 300, caddymodule.Integration: 300, caddymodule.Production: 1000} {
		b := &Proxy{Environment: environment, Catalogue: "catalogue.json", Transport: &reverseproxy.HTTPTransport{
			TLS: &reverseproxy.TLSConfig{ClientCertificateAutomate: "proxy.internal", CARaw: []byte(`{"provider":"file"}`)},
		}}
		if err := b.check(); err != nil {
			t.Fatal(err)
		}
		if b.Rate != rate || b.RateOverall != 60 || time.Duration(b.Timeout) != 32*time.Second || b.MaxBody != 10<<20 {
			t.Errorf("%s: got %d/m, %d/s, timeout %s, %d bytes", environment, b.Rate, b.RateOverall, time.Duration(b.Timeout), b.MaxBody)
		}
	}
}

// TestProxyDials checks where a proxy connects to: as resolve says whatever the case of the name, in the sandbox
// anywhere, and otherwise by the rules for outbound connections.
func TestProxyDials(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // connections only wait in its queue
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for _, c := range []struct {
		environment caddymodule.Environment
		host        string
		refused     bool
	}{
		{caddymodule.Integration, "bars-int-x26.a.nhs.uk", false},
		{caddymodule.Integration, "BARS-INT-X26.a.NHS.uk", false},
		{caddymodule.Integration, "127.0.0.1", true},
		{caddymodule.Production, "127.0.0.1", true},
		{caddymodule.Sandbox, "127.0.0.1", false},
	} {
		b := &Proxy{Environment: c.environment, Resolve: map[string]string{"BaRS-INT-X26.a.nhs.uk": "127.0.0.1"}}
		conn, err := b.dialer(outbound.Options{Timeout: dialTimeout})(t.Context(), "tcp", net.JoinHostPort(c.host, port))
		if err == nil {
			conn.Close()
		}
		if errors.Is(err, outbound.ErrRefused) != c.refused || !c.refused && err != nil {
			t.Errorf("%s to %s: got error %v", c.environment, c.host, err)
		}
	}
}

// TestProxyReport checks that caller-supplied text takes bounded space in the log, and that a receiver is logged by
// its host only.
func TestProxyReport(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/Slot", nil)
	long := strings.Repeat("x", 5000)
	r.Header.Set(bars.HeaderRequestID, long)
	r.Header.Set(bars.HeaderCorrelationID, long)
	call := &bars.Call{
		Endpoint: "/Slot", App: "app", Target: bars.Target{System: long, Value: "v"}, Address: &url.URL{Scheme: "https", Host: "r.nhs.uk", Path: "/secret"},
		Outcome: &bars.Outcome{Status: 408, Code: "REC_TIMEOUT", Fault: bars.FaultReceiver, Text: "text", Detail: long},
	}
	told := barsReport(r, call)
	for what, text := range map[string]string{"request id": told.RequestID, "correlation id": told.CorrelationID, "detail": told.Detail} {
		if len(text) != maxLogged {
			t.Errorf("the %s: got %d bytes", what, len(text))
		}
	}
	if told.Target != strings.Repeat("x", maxLogged)+" at r.nhs.uk" || told.Fault != "receiver" || told.Status != 408 || told.Code != "REC_TIMEOUT" || told.Client != "app" || told.Endpoint != "/Slot" {
		t.Errorf("%+v", told)
	}
}

// TestNameRule checks which receiver names are unusual, by environment.
func TestNameRule(t *testing.T) {
	if nameRule(caddymodule.Sandbox) != nil {
		t.Error("the sandbox has a naming rule, want none")
	}
	for name, says := range map[string]string{
		"BaRS-INT-X26.MySupplier.thirdparty.nhs.uk": "", "bars-prod-x26.mysupplier.thirdparty.nhs.uk": "is of the environment prod, but this proxy is of int", "x26.nhs.uk": "does not begin",
	} {
		err := nameRule(caddymodule.Integration)(name)
		if (err != nil) != (says != "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// discard is a logger that drops everything.
func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
