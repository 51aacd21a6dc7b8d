package logs

import (
	"bytes"
	"encoding/json"
	"strings"

	"go.uber.org/zap/zapcore"

	"github.com/seed-dd2befc3/countersign/redact"
)

// cleaner passes fields on to an encoder and removes what must not be kept.
type cleaner struct {
	zapcore.ObjectEncoder
	value func(key, value string) string
}

func clean(to zapcore.ObjectEncoder) cleaner { return cleaner{to, byKey} }

// byKey cleans a field's value by the field's name.
func byKey(key, value string) string {
	switch strings.ToLower(key) {
	case "uri", "url", "path", "location", "referer", "target", "upstream", "redirect", "original_uri":
		return redact.URI(value)
	case "host", "method", "proto", "remote_ip", "remote_port", "client_ip":
		return value
	}
	return redact.Text(value)
}

// AddString implements zapcore.ObjectEncoder.
func (c cleaner) AddString(key, value string) { c.ObjectEncoder.AddString(key, c.value(key, value)) }

// AddByteString implements zapcore.ObjectEncoder.
func (c cleaner) AddByteString(key string, value []byte) {
	c.ObjectEncoder.AddByteString(key, []byte(c.value(key, string(value))))
}

// AddObject implements zapcore.ObjectEncoder. In an object of header fields each key is a header's name.
func (c cleaner) AddObject(key string, value zapcore.ObjectMarshaler) error {
	inner := byKey
	switch strings.ToLower(key) {
	case "headers", "resp_headers", "request_headers", "response_headers", "header", "trailer":
		inner = redact.Header
	}
	return c.ObjectEncoder.AddObject(key, zapcore.ObjectMarshalerFunc(func(to zapcore.ObjectEncoder) error {
		return value.MarshalLogObject(cleaner{to, inner})
	}))
}

// AddArray implements zapcore.ObjectEncoder.
func (c cleaner) AddArray(key string, value zapcore.ArrayMarshaler) error {
	return c.ObjectEncoder.AddArray(key, cleanArray{key, value, c.value})
}

// AddReflected implements zapcore.ObjectEncoder. Such a value is always written as JSON, whatever the encoder.
func (c cleaner) AddReflected(key string, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // an escaped & would hide where a parameter ends
	if err := encoder.Encode(value); err != nil {
		return err
	}
	cleaned := []byte(redact.Text(strings.TrimSpace(text.String())))
	if !json.Valid(cleaned) {
		c.ObjectEncoder.AddString(key, string(cleaned))
		return nil
	}
	return c.ObjectEncoder.AddReflected(key, json.RawMessage(cleaned))
}

// cleanArray is an array whose values are cleaned by the array's key.
type cleanArray struct {
	key   string
	array zapcore.ArrayMarshaler
	value func(key, value string) string
}

// MarshalLogArray implements zapcore.ArrayMarshaler.
func (a cleanArray) MarshalLogArray(to zapcore.ArrayEncoder) error {
	return a.array.MarshalLogArray(arrayCleaner{to, a})
}

type arrayCleaner struct {
	zapcore.ArrayEncoder
	of cleanArray
}

// AppendString implements zapcore.ArrayEncoder.
func (c arrayCleaner) AppendString(value string) {
	c.ArrayEncoder.AppendString(c.of.value(c.of.key, value))
}

// AppendByteString implements zapcore.ArrayEncoder.
func (c arrayCleaner) AppendByteString(value []byte) {
	c.ArrayEncoder.AppendByteString([]byte(c.of.value(c.of.key, string(value))))
}

// AppendObject implements zapcore.ArrayEncoder.
func (c arrayCleaner) AppendObject(value zapcore.ObjectMarshaler) error {
	return c.ArrayEncoder.AppendObject(zapcore.ObjectMarshalerFunc(func(to zapcore.ObjectEncoder) error {
		return value.MarshalLogObject(cleaner{to, c.of.value})
	}))
}

// AppendArray implements zapcore.ArrayEncoder.
func (c arrayCleaner) AppendArray(value zapcore.ArrayMarshaler) error {
	return c.ArrayEncoder.AppendArray(cleanArray{c.of.key, value, c.of.value})
}

// AppendReflected implements zapcore.ArrayEncoder.
func (c arrayCleaner) AppendReflected(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	c.ArrayEncoder.AppendString(redact.Text(string(text)))
	return nil
}
