package signing

import (
	"encoding/base64"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5" //nolint:depguard // what the service's own reading is measured against
)

// BenchmarkRead reads, verifies and decodes a request of 250 payloads, in turns as the service does and with
// golang-jwt and encoding/json, and reports the medians and how many times as fast the service is.
func BenchmarkRead(b *testing.B) {
	w := newWorld(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
	body := []byte(w.jwt(RS256, MaxPayloads))
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"RS512"}), jwt.WithTimeFunc(w.clock.Now),
		jwt.WithExpirationRequired(), jwt.WithIssuedAt())

	ours := func() (int, error) {
		jws, read, err := readJWS(body)
		if err != nil {
			return 0, err
		}
		client, err := w.authenticate(b.Context(), jws, read, Caller{})
		if err != nil {
			return 0, err
		}
		if err := read.checkClaims(baseURL, client, w.clock.Now(), time.Minute, true); err != nil {
			return 0, err
		}
		items, err := read.decodePayloads()
		return len(items), err
	}
	theirs := func() (int, error) {
		var read struct {
			jwt.RegisteredClaims
			Algorithm string                         `json:"algorithm"`
			Payloads  []struct{ ID, Payload string } `json:"payloads"`
		}
		key := func(*jwt.Token) (any, error) { return &clientKey().PublicKey, nil }
		if _, err := parser.ParseWithClaims(string(body), &read, key); err != nil {
			return 0, err
		}
		var payloads [][]byte
		for _, item := range read.Payloads {
			payload, err := base64.StdEncoding.DecodeString(item.Payload)
			if err != nil {
				return 0, err
			}
			payloads = append(payloads, payload)
		}
		return len(payloads), nil
	}
	took := func(read func() (int, error)) float64 {
		start := time.Now()
		if n, err := read(); n != MaxPayloads || err != nil {
			b.Fatal(n, err)
		}
		return float64(time.Since(start).Nanoseconds()) / 1000
	}
	var fast, slow, ratios []float64
	for b.Loop() {
		f, s := took(ours), took(theirs)
		fast, slow, ratios = append(fast, f), append(slow, s), append(ratios, s/f)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(len(body)), "bytes")
	b.ReportMetric(median(fast), "µs/ours")
	b.ReportMetric(median(slow), "µs/golang-jwt")
	b.ReportMetric(median(ratios), "ratio")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
