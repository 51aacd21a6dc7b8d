package certificates_test

import (
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
)

// responder answers with `openssl ocsp`, signed by a certificate of the authority, at /ocsp.
type responder struct {
	*site
	ca    *authority
	args  []string // further ones, such as how long an answer is valid
	asked atomic.Int32
	t     testing.TB
}

func newResponder(t testing.TB) *responder {
	r := &responder{site: newSite(t), ca: newAuthority(t, "Test Level 1D", nil), t: t}
	key, err := cardKey()
	if err != nil {
		t.Fatal(err)
	}
	r.ca.issue("responder", key, "sha256", "keyUsage=digitalSignature", "extendedKeyUsage=OCSPSigning")
	r.sign("responder.pem", key)
	r.handle = r.answer
	return r
}

func (r *responder) sign(signer, key string, more ...string) {
	r.args = append([]string{"-rsigner", r.ca.file(signer), "-rkey", key}, more...)
}

func (r *responder) answer(w http.ResponseWriter, request *http.Request) bool {
	if request.URL.Path != "/ocsp" {
		return false
	}
	r.asked.Add(1)
	question, err := io.ReadAll(request.Body)
	if err == nil {
		err = os.WriteFile(r.ca.file("question"), question, 0o600)
	}
	if err != nil || request.Header.Get("Content-Type") != "application/ocsp-request" {
		r.t.Errorf("got request error %v with header %s", err, request.Header)
	}
	args := append([]string{"ocsp", "-index", r.ca.file("index.txt"), "-CA", r.ca.file("ca.pem"), "-reqin", r.ca.file("question"), "-respout", r.ca.file("answer")}, r.args...)
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		r.t.Errorf("openssl ocsp: %v\n%s", err, out)
	}
	w.Header().Set("Content-Type", "application/ocsp-response")
	_, _ = w.Write(r.ca.read("answer"))
	return true
}

// at names the responder in a certificate.
func (r *responder) line() string { return "authorityInfoAccess=OCSP;URI:" + r.URL + "/ocsp" }

func (r *responder) policy(t testing.TB, now func() time.Time) certificates.Policy {
	return certificates.Policy{Issuers: []*x509.Certificate{r.ca.cert}, RefuseUnchecked: true,
		Revocations: newRevocations(t, r.site, func(o *certificates.Options) { o.Now = now })}
}

// Good, revoked, unknown and expired answers by openssl's responder.
func TestOCSP(t *testing.T) {
	r := newResponder(t)
	after, before := time.Now().Add(time.Minute), time.Now().Add(-time.Hour)
	good, revoked, compromised := r.ca.card("good", r.line()), r.ca.card("revoked", r.line()), r.ca.card("compromised", r.line())
	r.ca.revoke("revoked", "superseded")
	r.ca.revoke("compromised", "keyCompromise")
	policy := r.policy(t, nil)
	t.Run("good, once for an hour", func(t *testing.T) {
		check(t, policy, good, after, "")
		check(t, policy, good, after, "")
		if n := r.asked.Load(); n != 1 {
			t.Errorf("responder was asked %d times, want once", n)
		}
	})
	t.Run("revoked", func(t *testing.T) {
		_, detail := check(t, policy, revoked, after, certificates.Revoked)
		mustContain(t, detail, "superseded")
		check(t, policy, revoked, before, "")
		check(t, policy, compromised, before, certificates.Revoked)
	})
	t.Run("unknown", func(t *testing.T) {
		unknown := r.ca.card("unknown", r.line())
		index := string(r.ca.read("index.txt"))
		r.ca.write("index.txt", index[:strings.LastIndex(strings.TrimSpace(index), "\n")+1])
		_, detail := check(t, policy, unknown, after, certificates.Unchecked)
		mustContain(t, detail, "does not know")
		passing := policy
		passing.RefuseUnchecked = false
		check(t, passing, unknown, after, "")
	})
	t.Run("not asked", func(t *testing.T) {
		before := r.asked.Load()
		off := policy
		off.Revocations = newRevocations(t, r.site, func(o *certificates.Options) { o.NoOCSP = true })
		check(t, off, revoked, after, "")
		if r.asked.Load() != before {
			t.Error("responder was asked, want it not asked")
		}
	})
	t.Run("expired", func(t *testing.T) {
		key, _ := cardKey()
		r.sign("responder.pem", key, "-nmin", "5")
		later := func() time.Time { return time.Now().Add(7 * time.Minute) }
		_, detail := check(t, r.policy(t, later), good, after, certificates.Unchecked)
		mustContain(t, detail, "too old")
		r.sign("responder.pem", key)
		check(t, r.policy(t, later), good, after, "") // an answer without nextUpdate is cached for an hour
		_, detail = check(t, r.policy(t, func() time.Time { return time.Now().Add(2 * time.Hour) }), good, after, certificates.Unchecked)
		mustContain(t, detail, "too old")
		_, detail = check(t, r.policy(t, func() time.Time { return time.Now().Add(-time.Hour) }), good, after, certificates.Unchecked)
		mustContain(t, detail, "future")
	})
}

// An answer may be signed by the issuer or by its delegated responder.
func TestOCSPSigner(t *testing.T) {
	r := newResponder(t)
	good := r.ca.card("good", r.line())
	key, err := cardKey()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	t.Run("the issuer", func(t *testing.T) {
		r.sign("ca.pem", r.ca.file("ca.key"))
		check(t, r.policy(t, nil), good, now, "")
	})
	t.Run("the issuer, without its certificate", func(t *testing.T) {
		r.sign("ca.pem", r.ca.file("ca.key"), "-resp_no_certs")
		check(t, r.policy(t, nil), good, now, "")
	})
	t.Run("a card", func(t *testing.T) {
		r.sign("good.pem", key)
		_, detail := check(t, r.policy(t, nil), good, now, certificates.Unchecked)
		mustContain(t, detail, "not for OCSP signing")
	})
	t.Run("a responder of a namesake", func(t *testing.T) {
		other := newAuthority(t, "Test Level 1D", nil)
		other.issue("responder", key, "sha256", "extendedKeyUsage=OCSPSigning")
		r.args = []string{"-rsigner", other.file("responder.pem"), "-rkey", key}
		_, detail := check(t, r.policy(t, nil), good, now, certificates.Unchecked)
		mustContain(t, detail, "did not delegate")
	})
	t.Run("a responder that has expired", func(t *testing.T) {
		r.sign("responder.pem", key, "-ndays", "1000")
		later := func() time.Time { return time.Now().Add(400 * 24 * time.Hour) }
		_, detail := check(t, r.policy(t, later), good, now, certificates.Unchecked)
		mustContain(t, detail, "not valid now")
	})
	t.Run("SHA-1", func(t *testing.T) {
		r.sign("responder.pem", key, "-rmd", "sha1")
		policy := r.policy(t, nil)
		_, detail := check(t, policy, good, now, certificates.Unchecked)
		mustContain(t, detail, "allow_sha1")
		policy.AllowSHA1 = true
		check(t, policy, good, now, "")
	})
	t.Run("nonsense", func(t *testing.T) {
		r.handle = func(w http.ResponseWriter, _ *http.Request) bool { _, _ = io.WriteString(w, "0"); return true }
		policy := r.policy(t, nil)
		before := r.site.asked("/ocsp")
		_, detail := check(t, policy, good, now, certificates.Unchecked)
		mustContain(t, detail, "not about this certificate")
		check(t, policy, good, now, certificates.Unchecked)
		if n := r.site.asked("/ocsp") - before; n != 1 {
			t.Errorf("failing responder was asked %d times in a row, want once", n)
		}
	})
}

// With a list as well: either can revoke, one is enough to clear, and one whose host may not be contacted is skipped.
func TestOCSPBesideList(t *testing.T) {
	r := newResponder(t)
	both := func(name string) []byte { return r.ca.card(name, r.line(), r.at("/1d.crl")) }
	after := time.Now().Add(time.Minute)
	good, revoked := both("good"), both("revoked")
	r.put("/1d.crl", r.ca.list()) // it is not listed yet
	r.ca.revoke("revoked", "")
	policy := r.policy(t, nil)
	check(t, policy, good, after, "")
	check(t, policy, revoked, after, certificates.Revoked)
	t.Run("the list alone cannot be had", func(t *testing.T) {
		r.put("/1d.crl", nil)
		if accepted, _ := check(t, r.policy(t, nil), good, after, ""); accepted.Unchecked != "" {
			t.Error(accepted.Unchecked)
		}
	})
	t.Run("the responder alone cannot be had", func(t *testing.T) {
		r.put("/1d.crl", r.ca.list())
		r.handle = func(w http.ResponseWriter, q *http.Request) bool {
			if q.URL.Path == "/ocsp" {
				w.WriteHeader(500)
			}
			return q.URL.Path == "/ocsp"
		}
		check(t, r.policy(t, nil), good, after, "")
		check(t, r.policy(t, nil), revoked, after, certificates.Revoked)
	})
}
