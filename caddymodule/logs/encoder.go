// Package logs provides the encoder countersign for Caddy's logs. It removes from each line what must not be kept, as
// package redact decides, and leaves the writing to another encoder.
//
// A line passes through these:
//
//	zap ── fields ──▶ cleaner ──▶ Caddy's filter encoder, with the operator's own filters ──▶ json, console, …
//
// The encoder never drops a line and adds nothing to one.
package logs

import (
	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"

	"github.com/seed-dd2befc3/countersign/redact"
)

func init() {
	caddy.RegisterModule(Encoder{})
}

// Encoder writes log lines without secrets: session tokens, codes, access tokens, cookies, keys and people's numbers
// are removed from the addresses, header fields and texts of Caddy's access and error logs. It takes the options of
// Caddy's filter encoder:
//
//	log {
//		format countersign {
//			wrap console
//			request>remote_ip ip_mask 16 32
//		}
//	}
//
// Without wrap it writes JSON, or console format if the output is a terminal.
type Encoder struct {
	logging.FilterEncoder
}

// CaddyModule returns the module's information for Caddy.
func (Encoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.encoders.countersign",
		New: func() caddy.Module { return new(Encoder) },
	}
}

// Clone implements zapcore.Encoder.
func (e Encoder) Clone() zapcore.Encoder {
	return Encoder{FilterEncoder: e.FilterEncoder.Clone().(logging.FilterEncoder)}
}

// EncodeEntry implements zapcore.Encoder.
func (e Encoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	own := e.FilterEncoder.Clone()
	for _, field := range fields {
		field.AddTo(clean(own))
	}
	entry.Message = redact.Text(entry.Message)
	entry.Stack = redact.Text(entry.Stack)
	return own.EncodeEntry(entry, nil)
}

// A logger's own fields, added before any line, arrive by these methods.

// AddString implements zapcore.ObjectEncoder.
func (e Encoder) AddString(key, value string) { clean(e.FilterEncoder).AddString(key, value) }

// AddByteString implements zapcore.ObjectEncoder.
func (e Encoder) AddByteString(key string, value []byte) {
	clean(e.FilterEncoder).AddByteString(key, value)
}

// AddObject implements zapcore.ObjectEncoder.
func (e Encoder) AddObject(key string, value zapcore.ObjectMarshaler) error {
	return clean(e.FilterEncoder).AddObject(key, value)
}

// AddArray implements zapcore.ObjectEncoder.
func (e Encoder) AddArray(key string, value zapcore.ArrayMarshaler) error {
	return clean(e.FilterEncoder).AddArray(key, value)
}

// AddReflected implements zapcore.ObjectEncoder.
func (e Encoder) AddReflected(key string, value any) error {
	return clean(e.FilterEncoder).AddReflected(key, value)
}

// Interface guards.
var (
	_ zapcore.Encoder                  = Encoder{}
	_ caddy.Provisioner                = (*Encoder)(nil)
	_ caddyfile.Unmarshaler            = (*Encoder)(nil)
	_ caddy.ConfiguresFormatterDefault = (*Encoder)(nil)
)
