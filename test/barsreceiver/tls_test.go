package barsreceiver

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestTLSMA checks with OpenSSL, over both versions of TLS, that only the proxy's certificate opens the receiver,
// whatever headers, resumed sessions or names a caller uses.
func TestTLSMA(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	w.client("proxy", w.int.Issue(proxy))
	w.client("stranger", barstest.NewAuthority(t, "Somebody").Issue(proxy))
	w.client("namesake", barstest.NewAuthority(t, "NHS INT").Issue(proxy)) // an authority with only the same name
	w.client("expired", w.int.Issue(proxy, barstest.Valid(now.Add(-48*time.Hour), now.Add(-time.Minute))))
	w.client("early", w.int.Issue(proxy, barstest.Valid(now.Add(time.Hour), now.Add(48*time.Hour))))
	w.client("live", w.prod.Issue(proxy))
	w.client("livename", w.int.Issue(proxy, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "bars-prod-x26.supplier.nhs.uk") }))
	w.client("subject", w.int.Issue("somebody.bars.nhs.uk"))
	w.client("server", w.int.Issue(proxy, func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }))

	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		right := w.handshake(receiver, receiver, append(w.with("proxy"), version)...)
		if !passed(right) {
			t.Fatalf("%s: the right certificate was refused:\n%s", version, right)
		}
		if !strings.Contains(right, "certificate=[] id=[5]") || strings.Contains(right, "forged") {
			t.Errorf("%s: a forged header reached the system:\n%s", version, right)
		}
		if !strings.Contains(right, "Verify return code: 0 (ok)") {
			t.Errorf("%s: the receiver's own certificate was not verified:\n%s", version, right)
		}
		for what, args := range map[string][]string{
			"no certificate":              nil,
			"other CA":                    w.with("stranger"),
			"other CA of the same name":   w.with("namesake"),
			"expired":                     w.with("expired"),
			"not valid yet":               w.with("early"),
			"wrong environment's chain":   w.with("live"),
			"right CA, other environment": w.with("livename"),
			"right CA, other subject":     w.with("subject"),
			"right CA, for servers only":  w.with("server"),
			"right CA, revoked":           w.with("revoked"),
		} {
			said := w.handshake(receiver, receiver, append(args, version)...)
			if strings.Contains(said, "HTTP/1.1") || !strings.Contains(said, "alert") {
				t.Errorf("%s, %s: the handshake was not refused:\n%s", version, what, said)
			}
		}
		w.sessions(version)
		w.names(version)
	}
	weak := w.handshake(receiver, receiver, append(w.with("proxy"), "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0")...)
	if strings.Contains(weak, "HTTP/1.1") {
		t.Errorf("TLS 1.1 passes:\n%s", weak)
	}
	static := w.handshake(receiver, receiver, append(w.with("proxy"), "-tls1_2", "-cipher", "AES128-GCM-SHA256:AES256-SHA")...)
	if strings.Contains(static, "HTTP/1.1") {
		t.Errorf("a suite without ECDHE passed:\n%s", static)
	}
}

// sessions checks that no session replaces a certificate: neither one of the receiver's own, nor one of a site on the
// same port that requires none.
func (w *world) sessions(version string) {
	w.t.Helper()
	for _, from := range []string{receiver, other} {
		session := filepath.Join(w.dir, from+version+".session")
		first := w.handshake(from, from, append(w.with("proxy"), version, "-sess_out", session)...)
		if !strings.Contains(first, "HTTP/1.1 200") {
			w.t.Fatalf("%s: no first connection to %s:\n%s", version, from, first)
		}
		if _, err := os.Stat(session); err != nil {
			if from == other {
				w.t.Fatalf("%s: %s: got no session to resume: %v", version, from, err)
			}
			continue // the receiver issues none
		}
		if said := w.handshake(from, from, version, "-sess_in", session); from == other && !strings.Contains(said, "Reused") {
			w.t.Fatalf("%s: the session of %s is not valid:\n%s", version, from, said)
		}
		for _, args := range [][]string{{version, "-sess_in", session}, append(w.with("stranger"), version, "-sess_in", session)} {
			said := w.handshake(receiver, receiver, args...)
			if strings.Contains(said, "HTTP/1.1") || strings.Contains(said, "Reused") {
				w.t.Errorf("%s: a session of %s passed without a certificate:\n%s", version, from, said)
			}
		}
		if said := w.handshake(receiver, receiver, append(w.with("proxy"), version, "-sess_in", session)...); !passed(said) {
			w.t.Errorf("%s: the right certificate with a session of %s was refused:\n%s", version, from, said)
		}
	}
}

// names checks that a caller cannot shake hands for one site and send to another.
func (w *world) names(version string) {
	w.t.Helper()
	for _, c := range []struct {
		sni, host string
		args      []string
	}{
		{other, receiver, nil},
		{other, receiver, w.with("proxy")},
		{receiver, public, w.with("proxy")},
		{receiver, other, w.with("proxy")},
		{"", receiver, nil},
		{"", receiver, w.with("proxy")},
	} {
		said := w.handshake(c.sni, c.host, append(c.args, version)...)
		if strings.Contains(said, "HTTP/1.1 200") || strings.Contains(said, "system GET") {
			w.t.Errorf("%s: SNI %q and Host %q passed, want a refusal:\n%s", version, c.sni, c.host, said)
		}
	}
}

// TestAddressAndAnswers checks with curl: a caller refused by address gets 403, a failure behind the receiver gets an
// OperationOutcome, and both ids are echoed.
func TestAddressAndAnswers(t *testing.T) {
	w := newWorld(t)
	w.client("proxy", w.int.Issue(proxy))
	ask := func(name, path string) []byte {
		t.Helper()
		out, err := gateway.Run(nil, "curl", "-sS", "-i", "--max-time", "60", "--cacert", w.chain, "--cert", w.path("proxy.pem"), "--key", w.path("proxy.key"),
			"--connect-to", name+"::127.0.0.1:"+w.Port("TLS"), "-H", "X-Request-Id: 11", "-H", "X-Correlation-Id: 22", "-H", "X-Client-Cert: forged",
			"-H", "X-Forwarded-For: 35.197.254.55", "https://"+name+":"+w.Port("TLS")+path)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, c := range []struct {
		name, path string
		says       []string
		described  string // the described answer of the receiver itself; empty: the system answered
	}{
		{receiver, "/FHIR/R4/ServiceRequest?_include=a&_include=b%2B+c", []string{"http/2 200", "system get /fhir/r4/servicerequest?_include=a&_include=b%2b+c certificate=[] id=[11]"}, ""},
		{receiver, "/health", []string{"http/2 200", "ok"}, "ReceiverIsThere"},
		{receiver, "/health/openapi.json", []string{"http/2 200", `"openapi": "3.1.0"`}, ""},
		{receiver, "/forbidden", []string{"http/2 422"}, ""},
		{receiver, "/large", []string{"http/2 413"}, ""},
		{public, "/FHIR/R4/metadata", []string{"http/2 403", "rec_forbidden", "tls-ma failure.", "operationoutcome", "application/fhir+json"}, "ReceiverRefused"},
		{public, "/health", []string{"http/2 200", "ok"}, "ReceiverIsThere"},
		{slow, "/FHIR/R4/metadata", []string{"http/2 408", "rec_timeout", "operationoutcome"}, "ReceiverTimedOut"},
		{dead, "/FHIR/R4/metadata", []string{"http/2 503", "rec_service_unavailable", "operationoutcome"}, "ReceiverUnavailable"},
	} {
		came := ask(c.name, c.path)
		if c.described != "" {
			gateway.MustAnswerAs(t, "bars/openapi/openapi.json", c.described, bytes.Replace(came, []byte("HTTP/2 "), []byte("HTTP/2.0 "), 1))
		}
		said := strings.ToLower(string(came))
		if !strings.HasPrefix(c.path, "/health") {
			c.says = append(c.says, "x-request-id: 11\r\n", "x-correlation-id: 22\r\n")
		}
		for _, part := range c.says {
			if !strings.Contains(said, part) {
				t.Errorf("%s%s: want %q in\n%s", c.name, c.path, part, said)
			}
		}
		if head, _, _ := strings.Cut(said, "\r\n\r\n"); strings.Count(head, "x-request-id") > 1 {
			t.Errorf("%s%s: got the id twice, want once:\n%s", c.name, c.path, said)
		}
	}
	for _, line := range []string{`"check":"address","fault":"network"`, `"outcome":"REC_TIMEOUT"`, `"outcome":"REC_SERVICE_UNAVAILABLE"`, "the system answered 403"} {
		// The line is written, and its output read, after the answer was sent.
		if !gateway.Eventually(time.Minute, func() bool { return strings.Contains(w.Output(), line) }) {
			t.Errorf("want %s in the log", line)
		}
	}
}
