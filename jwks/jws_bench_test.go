package jwks

import (
	"encoding/base64"
	"fmt"
	"testing"
)

// BenchmarkParseDecode parses a request of 250 payloads, about 421 KB of JSON. BenchmarkVerifyRatio times the
// RSA verification.
func BenchmarkParseDecode(b *testing.B) {
	payloads := make([]payloadItem, 250)
	for i := range payloads {
		payload := make([]byte, 1210)
		for j := range payload {
			payload[j] = byte(i + j*7)
		}
		payloads[i] = payloadItem{ID: fmt.Sprintf("a1b2c3d4-0000-4000-8000-%012d", i), Payload: base64.StdEncoding.EncodeToString(payload)}
	}
	signer := testSigner(b, "k0")
	text, err := signer.Mint(map[string]any{"iss": "epr", "sub": "555086689106", "exp": 1700000000, "payloads": payloads})
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(text)
	b.SetBytes(int64(len(body)))
	b.Run("Parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(body); err != nil {
				b.Fatal(err)
			}
		}
	})
	token, err := Parse(body)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d bytes of body, %d of JSON", len(body), len(token.Payload()))
	b.Run("Decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var c claims
			if err := token.Decode(&c); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("checkNames", func(b *testing.B) {
		names := []knownName{{name: "payloads", below: []knownName{{name: "id"}, {name: "payload"}}}}
		for b.Loop() {
			if err := checkNames(token.payload, names); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Verify", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := token.Verify(signer.Key()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ID", func(b *testing.B) {
		for b.Loop() {
			_ = token.ID()
		}
	})
}
