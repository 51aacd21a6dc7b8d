package signing

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

// BenchmarkRequest takes signing requests of 1 and of 250 payloads, each a new one, on the memory store. The JWTs are
// made before.
func BenchmarkRequest(b *testing.B) {
	for _, n := range []int{1, 250} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
			jwts := make([]string, min(b.N, 200))
			for i := range jwts {
				jwts[i] = sign(b, clientKey(), header(), with(w.claimsFor(RS256, n), "jti", fmt.Sprint(b.N, i)))
			}
			b.SetBytes(int64(len(jwts[0])))
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				if i%len(jwts) == 0 && i > 0 {
					b.StopTimer() // a store that knows none of them
					w = newWorld(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
					b.StartTimer()
				}
				if got := w.post(w.Service, jwts[i%len(jwts)], ""); got.Code != http.StatusOK {
					b.Fatal(got.Body)
				}
			}
		})
	}
}

// BenchmarkRepeat takes the same request of 250 payloads again and again.
func BenchmarkRepeat(b *testing.B) {
	w := newWorld(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
	jwt := w.jwt(RS256, 250)
	b.SetBytes(int64(len(jwt)))
	b.ReportAllocs()
	for b.Loop() {
		if got := w.post(w.Service, jwt, ""); got.Code != http.StatusOK {
			b.Fatal(got.Body)
		}
	}
}

// BenchmarkRefusal refuses what a stranger sends: 250 payloads under a kid that nobody registered.
func BenchmarkRefusal(b *testing.B) {
	w := newWorld(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
	jwt := sign(b, clientKey(), with(header(), "kid", "unknown"), w.claimsFor(RS256, 250))
	b.SetBytes(int64(len(jwt)))
	b.ReportAllocs()
	for b.Loop() {
		if got := w.post(w.Service, jwt, ""); got.Code != http.StatusUnauthorized {
			b.Fatal(got.Body)
		}
	}
}

// BenchmarkRelease verifies and keeps 250 signatures that the card has made before.
func BenchmarkRelease(b *testing.B) {
	w := newWorld(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
	of := &session{ID: "bench", Sub: person, Algorithm: RS256, Total: 250}
	var items []item
	job := smartcard.Job{Algorithm: RS256}
	for i := range of.Total {
		it := item{ID: fmt.Sprint(i), Payload: signedInfo(RS256, fmt.Sprint(i))}
		items, job.Payloads = append(items, it), append(job.Payloads, smartcard.Payload(it))
	}
	result := w.agent.well(job, func(string) {})
	b.ReportAllocs()
	for b.Loop() {
		released, refused := w.verify(b.Context(), of, items, result)
		if refused != nil {
			b.Fatal(refused)
		}
		w.sessions.pack(released)
	}
}

// BenchmarkFetch answers with 250 signatures.
func BenchmarkFetch(b *testing.B) {
	w := newWorld(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
	_, ticket := w.ran(RS256, 250)
	r := httptest.NewRequest(http.MethodGet, "/signatureresponse/"+ticket.Token, nil)
	b.ReportAllocs()
	for b.Loop() {
		if got := answer(w.Service, r); got.Code != http.StatusOK {
			b.Fatal(got.Body)
		}
	}
}

// BenchmarkWatch polls a session, which the page does three times a second.
func BenchmarkWatch(b *testing.B) {
	w := newWorld(b, func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
	page, _ := w.opened(RS256, 250, "")
	b.ReportAllocs()
	for b.Loop() {
		page.watch()
	}
}
