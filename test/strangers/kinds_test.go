package strangers_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	asText = "Content-Type: text/plain\r\n"
	asFHIR = "Content-Type: application/fhir+json\r\n"

	// target is a receiver that is built into the sandbox: tests, NHS0001.
	target = "eyJzeXN0ZW0iOiJ0ZXN0cyIsInZhbHVlIjoiTkhTMDAwMSJ9"
)

// pageCall is the head of a call of the page by a browser that has made up its cookie, and so its CSRF value.
func (w *world) pageCall() string {
	secret := strings.Repeat("made-up-", 6)
	base := w.URL("GATEWAY", "/open")
	sum := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(sum, "countersign csrf %s", base)
	return fmt.Sprintf("Content-Type: application/json\r\nOrigin: %s\r\nCookie: countersign-page=%s\r\nX-CSRF-Token: %s\r\n",
		strings.TrimSuffix(base, "/open"), secret, base64.RawURLEncoding.EncodeToString(sum.Sum(nil)))
}

// request is an honest signing request, which is accepted.
func (w *world) request(t testing.TB) gateway.Accepted {
	t.Helper()
	return w.system().Request(t, "RS256", "", gateway.Payloads("RS256", 1)...)
}

// atThePage opens a session in a browser and signs it, as a person does.
func (w *world) atThePage(t *testing.T) {
	t.Helper()
	person := gateway.Visit(t, w.request(t).RedirectURI)
	person.Open()
	person.Sign()
}

// Calls of the page with a CSRF value of one's own making used to draw on the 256 MiB of signing requests.
func TestPageCallsTakeNothingFromSigningRequests(t *testing.T) {
	for _, addresses := range []int{1, manyAddresses} {
		t.Run(fmt.Sprintf("from %d", addresses), func(t *testing.T) {
			w := newWorld(t, "")
			const size = 1 << 20
			calls := kind{request: "POST /open/client/answer", header: w.pageCall(), length: size, sent: size - 1, pool: "calls"}
			s := w.besiege(t, calls, 260, origins(addresses))
			eventually(t, "strangers who were given up", func() bool { return w.metric(t, `countersign_pool_given_up_total{pool="calls"}`) > 0 })
			for range honestTries / 4 {
				w.atThePage(t)
			}
			if got := w.metric(t, `countersign_pool_given_up_total{pool="requests"}`); got != 0 {
				t.Errorf("got %v signing requests given up, want none", got)
			}
			s.end()
		})
	}
}

func TestHalfSentSigningRequests(t *testing.T) {
	k := kind{request: "POST /open/signaturerequest", header: asText, length: 2_000_000, pool: "requests"}
	beside(t, k, 200, func(t *testing.T, w *world) { w.request(t) })
}

func TestHalfSentMessages(t *testing.T) {
	k := kind{request: "POST /barsbox/Appointment", header: asFHIR + "NHSD-Target-Identifier: " + target + "\r\n", length: 1 << 20, pool: "bars"}
	beside(t, k, 200, func(t *testing.T, w *world) {
		got := w.post(t, "/barsbox/Appointment", "application/fhir+json", `{"resourceType":"Appointment"}`, "NHSD-Target-Identifier", target)
		wantStatus(t, got, http.StatusCreated)
	})
}

// Applications have the sender keep their bodies, so that it can send them again.
func TestHalfSentRequestsToTheSender(t *testing.T) {
	k := kind{request: "POST /sent/$process-message", header: asFHIR, length: 500_000, pool: "sender"}
	beside(t, k, 200, func(t *testing.T, w *world) {
		got := w.post(t, "/sent/$process-message", "application/fhir+json", `{"resourceType":"Bundle"}`)
		wantStatus(t, got, http.StatusOK)
	})
}

// Clinicians behind the address that an attack comes from are not refused: 20 at a time, each at a session of their own.
func TestCliniciansBesideAnAttackFromTheirAddress(t *testing.T) {
	w := newWorld(t, "")
	calls := kind{request: "POST /open/client/open", header: w.pageCall(), length: 10_000, pool: "calls"}
	w.besiege(t, calls, count(t, 200), origins(1))
	w.besiege(t, tokenForms, count(t, 200), origins(1))
	ready := make(chan *gateway.Browser, count(t, 40))
	for range cap(ready) {
		ready <- gateway.Visit(t, w.request(t).RedirectURI)
	}
	close(ready)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for person := range ready {
				person.Open()
				person.Sign()
			}
		})
	}
	all.Wait()
}
