package logs

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	token  = "f523a772-24f2-45d6-a8da-59b48de0231a"
	canary = "canary-c4n4ry-canary"
)

// newEncoder makes an encoder from Caddyfile options.
func newEncoder(t *testing.T, options string) *Encoder {
	t.Helper()
	e := new(Encoder)
	if err := e.UnmarshalCaddyfile(caddyfile.NewTestDispenser("countersign " + options)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	if err := e.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return e
}

func encode(t *testing.T, e zapcore.Encoder, message string, fields ...zapcore.Field) string {
	t.Helper()
	line, err := e.EncodeEntry(zapcore.Entry{Message: message}, fields)
	if err != nil {
		t.Fatal(err)
	}
	return line.String()
}

// request carries a secret in every place a request can.
func request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/signing-service/signatureresponse/"+token+"?token="+token+"&state="+canary, nil)
	for _, name := range []string{"Authorization", "Cookie", "Apikey", "X-Csrf-Token", "Proxy-Authorization"} {
		r.Header.Set(name, canary)
	}
	r.Header.Set("Referer", "https://gateway.example/signing-service/client?token="+token)
	r.Header.Set("X-Request-Id", "7f1c2d3e-4a5b-4c6d-8e7f-000000000001")
	r.Header.Set("User-Agent", "test/1.0")
	return r
}

// A line of Caddy's access log with credentials enabled, and one of its error log.
func TestAccessAndErrorLog(t *testing.T) {
	answer := http.Header{"Location": {"https://epr.example/signed?token=" + token + "&code=" + canary}, "Set-Cookie": {"a=" + canary}, "Content-Type": {"text/html"}}
	for name, options := range map[string]string{"json": "", "console": "{\nwrap console\n}", "a filter of one's own": "{\nrequest>remote_ip delete\n}"} {
		t.Run(name, func(t *testing.T) {
			e := newEncoder(t, options)
			line := encode(t, e, "handled request",
				zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: request(), ShouldLogCredentials: true}),
				zap.Int("bytes_read", 7), zap.String("user_id", "acme"), zap.Int("status", 303),
				zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{Header: answer, ShouldLogCredentials: true}))
			line += encode(t, e, "Get \"https://x.example/?code="+canary+"\": EOF", zap.Error(errors.New("upstream /client?token="+token+" is away")),
				zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: request()}), zap.String("uri", "/signatureresponse/"+token),
				zap.Any("more", map[string]any{"uri": "/client?a=b&token=" + token}), zap.Strings("locations", []string{"/client?code=" + canary}))
			for _, secret := range []string{token, canary} {
				if at := strings.Index(line, secret); at >= 0 {
					t.Errorf("secret in the log: …%s", line[max(0, at-60):at+len(secret)])
				}
			}
			for _, kept := range []string{"7f1c2d3e-4a5b-4c6d-8e7f-000000000001", "test/1.0", "text/html", "/signing-service/signatureresponse/…", "acme", "303", "https://epr.example/signed?token=…"} {
				if !strings.Contains(line, kept) {
					t.Errorf("want %q in %s", kept, line)
				}
			}
			if kept := strings.Contains(line, "192.0.2.1"); kept != (options == "" || name == "console") {
				t.Errorf("remote address in the line: got %t", kept)
			}
		})
	}
}

// A logger's own fields are cleaned too, and do not leak into other lines.
func TestFieldsOfALogger(t *testing.T) {
	e := newEncoder(t, "")
	own := e.Clone()
	zap.String("uri", "/client?token="+token).AddTo(own)
	zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: request()}).AddTo(own)
	zap.Strings("codes", []string{"code=" + canary}).AddTo(own)
	zap.Reflect("reflected", []string{"code=" + canary}).AddTo(own)
	zap.ByteString("bytes", []byte("code="+canary)).AddTo(own)
	line := encode(t, own, "one")
	if strings.Contains(line, token) || strings.Contains(line, canary) || !strings.Contains(line, "/client?token=…") {
		t.Errorf("secret in the log: %s", line)
	}
	var read map[string]any
	if err := json.Unmarshal([]byte(line), &read); err != nil {
		t.Errorf("got %s, error %v", line, err)
	}
	if line := encode(t, e, "two"); strings.Contains(line, "uri") {
		t.Errorf("another logger's line has %s", line)
	}
}

func TestWrongOptions(t *testing.T) {
	for _, options := range []string{"{\nwrap\n}", "{\nwrap nothing\n}", "{\nrequest>uri\n}", "{\nrequest>uri nothing\n}"} {
		if err := new(Encoder).UnmarshalCaddyfile(caddyfile.NewTestDispenser("countersign " + options)); err == nil {
			t.Errorf("%q: got no error, want a refusal", options)
		}
	}
}

func BenchmarkLine(b *testing.B) {
	e := new(Encoder)
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	defer cancel()
	if err := e.Provision(ctx); err != nil {
		b.Fatal(err)
	}
	r := request()
	for b.Loop() {
		line, err := e.EncodeEntry(zapcore.Entry{Message: "handled request"}, []zapcore.Field{zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: r})})
		if err != nil {
			b.Fatal(err)
		}
		line.Free()
	}
}
