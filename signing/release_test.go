package signing

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/smartcard"
)

// What is released verifies, item by item, in the request's order, under every algorithm.
func TestRelease(t *testing.T) {
	w := newWorld(t, nil)
	for _, algorithm := range []string{RS1, RS256, PS256} {
		for _, n := range []int{1, 2, 250} {
			w.clock.advance(time.Second)
			seen, ticket := w.ran(algorithm, n)
			if seen.State != StateSigned || seen.Signed != n {
				t.Fatalf("%s, %d: it is %+v", algorithm, n, seen)
			}
			got := read[Response](t, w.fetch(ticket.Token))
			der, err := base64.StdEncoding.DecodeString(got.Certificate)
			if err != nil || string(der) != string(w.agent.card) || len(got.Signatures) != n {
				t.Fatalf("%s, %d: %d signatures, %v", algorithm, n, len(got.Signatures), err)
			}
			for i, sent := range payloads(algorithm, n) {
				payload, _ := base64.StdEncoding.DecodeString(sent.Payload)
				signature, err := base64.StdEncoding.DecodeString(got.Signatures[i].Signature)
				if err != nil || got.Signatures[i].ID != sent.ID || verifySignature(&cardKey().PublicKey, algorithm, payload, signature) != nil {
					t.Fatalf("%s: item %d is %+v", algorithm, i, got.Signatures[i])
				}
			}
		}
	}
}

// One signature that is not right, and none is released (SIG-5.1).
func TestWrongSignaturesAreNeverReleased(t *testing.T) {
	other := newRSA(2048)
	for name, c := range map[string]struct {
		spoil  func(*smartcard.Result, smartcard.Job)
		reason string
	}{
		"a bit flipped": {func(r *smartcard.Result, _ smartcard.Job) { r.Signatures[1][100] ^= 1 }, reasonSignature},
		"two swapped": {func(r *smartcard.Result, _ smartcard.Job) {
			r.Signatures[0], r.Signatures[2] = r.Signatures[2], r.Signatures[0]
		}, reasonSignature},
		"one twice":        {func(r *smartcard.Result, _ smartcard.Job) { r.Signatures[0] = r.Signatures[1] }, reasonSignature},
		"the last missing": {func(r *smartcard.Result, _ smartcard.Job) { r.Signatures = r.Signatures[:2] }, smartcard.CodeMismatch},
		"one more":         {func(r *smartcard.Result, _ smartcard.Job) { r.Signatures = append(r.Signatures, r.Signatures[0]) }, smartcard.CodeMismatch},
		"one empty":        {func(r *smartcard.Result, _ smartcard.Job) { r.Signatures[2] = nil }, reasonSignature},
		"one cut":          {func(r *smartcard.Result, _ smartcard.Job) { r.Signatures[2] = r.Signatures[2][1:] }, reasonSignature},
		"one longer":       {func(r *smartcard.Result, _ smartcard.Job) { r.Signatures[2] = append([]byte{0}, r.Signatures[2]...) }, reasonSignature},
		"none":             {func(r *smartcard.Result, _ smartcard.Job) { r.Signatures = nil }, smartcard.CodeMismatch},
		"another key": {func(r *smartcard.Result, job smartcard.Job) {
			r.Signatures[0] = signPayload(t, other, job.Algorithm, job.Payloads[0].Payload)
		}, reasonSignature},
		"another algorithm": {func(r *smartcard.Result, job smartcard.Job) {
			r.Signatures[0] = signPayload(t, cardKey(), RS1, job.Payloads[0].Payload)
		}, reasonSignature},
		"another text": {func(r *smartcard.Result, job smartcard.Job) {
			r.Signatures[0] = signPayload(t, cardKey(), RS256, append(job.Payloads[0].Payload, '\n'))
		}, reasonSignature},
		"no certificate":    {func(r *smartcard.Result, _ smartcard.Job) { r.Certificate = nil }, reasonCertUnreadable},
		"not a certificate": {func(r *smartcard.Result, _ smartcard.Job) { r.Certificate = []byte("0\x82") }, reasonCertUnreadable},
		"two certificates": {func(r *smartcard.Result, _ smartcard.Job) {
			r.Certificate = append(append([]byte{}, r.Certificate...), r.Certificate...)
		}, reasonCertUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			w.agent.does(func(_ context.Context, job smartcard.Job, signed func(string)) (*smartcard.Result, error) {
				result := w.agent.well(job, signed)
				c.spoil(result, job)
				return result, nil
			})
			w.mustFail(c.reason)
		})
	}
	t.Run("no result at all", func(t *testing.T) {
		w := newWorld(t, nil)
		w.agent.does(func(context.Context, smartcard.Job, func(string)) (*smartcard.Result, error) { return nil, nil })
		w.mustFail(smartcard.CodeMismatch)
	})
}

// mustFail signs a request, and wants it to fail for good, and nothing of it to be kept.
func (w *world) mustFail(reason string) {
	w.Helper()
	seen, ticket := w.ran(RS256, 3)
	if seen.State != StateFailed || seen.Reason == nil || seen.Reason.Code != reason || seen.Reason.Retry {
		w.Fatalf("it is %s because of %+v, not %s", seen.State, seen.Reason, reason)
	}
	got := w.fetch(ticket.Token)
	mustRefuse(w, got, refused{410, "failed", "The signature request has failed: " + reasons[reason].Title})
	if body := read[failed](w, got); body.Reason == nil || body.Reason.Code != reason {
		w.Errorf("the client is told the reason %+v", body.Reason)
	}
	kept, _, err := w.sessions.get(w.Context(), seen.ID)
	if err != nil || kept.Result != 0 {
		w.Errorf("it keeps %d records of signatures, %v", kept.Result, err)
	}
	records, err := w.Store.Get(w.Context(), resultKey(seen.ID, 0))
	if err != nil || records[0].Version != 0 {
		w.Errorf("signatures are kept: %v", err)
	}
}

// Whose certificate may stand behind a signature (SIG-5).
func TestCertificates(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short := newRSA(1024)
	named := func(cn string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: cn} }
	}
	usage := func(usage x509.KeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.KeyUsage = usage }
	}
	for _, c := range []struct {
		name   string
		key    any // the card's public key; nil: cardKey's
		change func(*x509.Certificate)
		set    func(*Options)
		reason string // empty: accepted
	}{
		{name: "as it should be"},
		{name: "CN with underscores", change: named(person + "_A_B")},
		{name: "CN without underscore", change: named(person)},
		{name: "nonRepudiation and digitalSignature", change: usage(x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature)},
		{name: "digitalSignature", change: usage(x509.KeyUsageDigitalSignature)},
		{name: "no key usage", change: usage(0)},
		{name: "valid from now", change: func(c *x509.Certificate) { c.NotBefore = now }},
		{name: "valid until now", change: func(c *x509.Certificate) { c.NotAfter = now }},

		{name: "another user", change: named("555086689107_TESTER"), reason: reasonCertUser},
		{name: "a longer user id", change: named(person + "1_TESTER"), reason: reasonCertUser},
		{name: "the user later in the CN", change: named("X_" + person), reason: reasonCertUser},
		{name: "no CN", change: named(""), reason: reasonCertUser},
		{name: "another user where any may sign", change: named("555086689107_TESTER"), set: func(o *Options) { o.Trust.AnyUser = true }},
		{name: "expired", change: func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Second) }, reason: reasonCertExpired},
		{name: "not yet valid", change: func(c *x509.Certificate) { c.NotBefore = now.Add(time.Second) }, reason: reasonCertNotYet},
		{name: "an authority", change: func(c *x509.Certificate) {
			c.IsCA, c.KeyUsage = true, x509.KeyUsageContentCommitment|x509.KeyUsageCertSign
		}, reason: reasonCertNotForSigner},
		{name: "for encryption only", change: usage(x509.KeyUsageKeyEncipherment), reason: reasonCertNotForSigner},
		{name: "for signing certificates only", change: usage(x509.KeyUsageCertSign), reason: reasonCertNotForSigner},
		{name: "an EC key", key: ec.Public(), reason: reasonCertKey},
		{name: "1024 bits", key: short.Public()},
		{name: "1024 bits where 2048 are wanted", key: short.Public(), set: func(o *Options) { o.Trust.MinBits = 2048 }, reason: reasonCertKey},
		{name: "1024 bits, and another user", key: short.Public(), change: named("555086689107_X"), reason: reasonCertUser},
		{name: "a critical extension nobody knows", change: func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, reason: reasonCertUntrusted},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.set)
			key := c.key
			signer := cardKey()
			if key == nil {
				key = cardKey().Public()
			} else if _, isRSA := key.(*rsa.PublicKey); isRSA {
				signer = short
			}
			card := w.agent.ca.issue(t, key, c.change)
			w.agent.does(func(_ context.Context, job smartcard.Job, _ func(string)) (*smartcard.Result, error) {
				result := &smartcard.Result{Certificate: card}
				for _, p := range job.Payloads {
					result.Signatures = append(result.Signatures, signPayload(t, signer, job.Algorithm, p.Payload))
				}
				return result, nil
			})
			if c.reason != "" {
				w.mustFail(c.reason)
				return
			}
			if seen, ticket := w.ran(RS256, 3); seen.State != StateSigned || w.fetch(ticket.Token).Code != 200 {
				t.Errorf("it is %s because of %+v\n%s", seen.State, seen.Reason, w.logs)
			}
			if warned := strings.Contains(w.logs.String(), "short key"); warned != (signer == short) {
				t.Errorf("warned of a short key: %v", warned)
			}
		})
	}
}

// The mock's CA vouches for the mock alone, and the real issuers for real cards.
func TestIssuers(t *testing.T) {
	real, mock, twin := newAuthority(t, "NHS Level 1D"), newAuthority(t, "MOCK CA"), newAuthority(t, "NHS Level 1D")
	later := newAuthority(t, "NHS Level 2")
	for _, c := range []struct {
		name           string
		issuer         *authority
		mockToo, asked bool // a mock is configured beside the real way; the session was opened with mock=true
		noReal         bool // there is no real way
		reason         string
	}{
		{name: "a real card", issuer: real},
		{name: "a real card of the second issuer", issuer: later},
		{name: "a real card of nobody's", issuer: twin, reason: reasonCertUntrusted},
		{name: "a mock card from the real way", issuer: mock, reason: reasonCertUntrusted},
		{name: "a mock card from the real way, beside a mock", issuer: mock, mockToo: true, reason: reasonCertUntrusted},
		{name: "a mock card from the mock", issuer: mock, mockToo: true, asked: true},
		{name: "a mock card where there is nothing else", issuer: mock, mockToo: true, noReal: true},
		{name: "a stranger's card from the mock", issuer: twin, mockToo: true, asked: true, reason: reasonCertUntrusted},
	} {
		t.Run(c.name, func(t *testing.T) {
			agent := newFakeAgent(t)
			agent.card = c.issuer.issue(t, cardKey().Public(), nil)
			w := newWorld(t, func(o *Options) {
				o.Trust = Trust{Policy: certificates.Policy{Issuers: []*x509.Certificate{real.cert, later.cert}}, Mock: mock.certificate}
				o.Mock, o.Agents = nil, nil
				if !c.noReal {
					o.Agents = []Route{{Name: "real", Agent: agent}}
				}
				if c.mockToo {
					o.Mock = &Route{Name: "mock", Agent: agent}
				}
			})
			ticket := w.accept(w.jwt(RS256, 1), "")
			address := ticket.RedirectURI
			if c.asked {
				address += "&mock=true"
			}
			b := visit(t, w.Service, address)
			mustBe(t, b.open(address), 200)
			b.sign()
			seen := b.settled()
			if c.reason == "" && (seen.State != StateSigned || w.fetch(ticket.Token).Code != 200) {
				t.Errorf("it is %s because of %+v", seen.State, seen.Reason)
			}
			if c.reason != "" && (seen.State != StateFailed || seen.Reason.Code != c.reason || w.fetch(ticket.Token).Code != 410) {
				t.Errorf("it is %s because of %+v", seen.State, seen.Reason)
			}
		})
	}
	t.Run("whose CA cannot be read", func(t *testing.T) {
		w := newWorld(t, func(o *Options) {
			o.Trust.Mock = func(context.Context) (*x509.Certificate, error) { return nil, errTest }
		})
		if seen, _ := w.ran(RS256, 1); seen.State != StateOpened || seen.Reason.Code != reasonInterrupted {
			t.Errorf("it is %s because of %+v", seen.State, seen.Reason)
		}
	})
}
