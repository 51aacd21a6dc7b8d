package certificates_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/roca"
	"github.com/seed-dd2befc3/countersign/roca/rocatest"
)

// The validity of a certificate and that of its issuer are told apart.
func TestTimes(t *testing.T) {
	ca := newAuthority(t, "Test Level 1D", nil)
	der := ca.card("card")
	policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}}
	leaf := parsed(t, der)
	check(t, policy, der, leaf.NotBefore, "")
	check(t, policy, der, leaf.NotAfter, "")
	check(t, policy, der, leaf.NotBefore.Add(-time.Second), certificates.NotYetValid)
	check(t, policy, der, leaf.NotAfter.Add(time.Second), certificates.Expired)

	root := newAuthority(t, "Test Root", nil)
	brief := newAuthority(t, "Test Brief", root)
	der = brief.card("card")
	brief.openssl("ca", "-batch", "-notext", "-config", root.file("ca.cnf"), "-in", brief.file("ca.csr"), "-startdate", stamp(-48*time.Hour),
		"-enddate", stamp(-24*time.Hour), "-extfile", brief.file("ca.ext"), "-out", brief.file("past.pem"))
	past := parse(t, brief.read("past.pem"))
	check(t, certificates.Policy{Issuers: []*x509.Certificate{past}}, der, time.Now(), certificates.IssuerExpired)
	check(t, certificates.Policy{Issuers: []*x509.Certificate{root.cert}, Intermediates: []*x509.Certificate{past}}, der, time.Now(), certificates.IssuerExpired)
	check(t, certificates.Policy{Issuers: []*x509.Certificate{past}}, der, time.Now().Add(-36*time.Hour), "")
}

// Certificates signed with SHA-1, which the standard library rejects, are accepted if allowed, directly from one issuer.
func TestSHA1(t *testing.T) {
	key, err := cardKey()
	if err != nil {
		t.Fatal(err)
	}
	ca := newAuthority(t, "Test Level 1D", nil)
	strict := certificates.Policy{Issuers: []*x509.Certificate{newAuthority(t, "Other", nil).cert, ca.cert}}
	allowed := strict
	allowed.AllowSHA1 = true
	old := func(ca *authority, extensions ...string) []byte { return ca.issue("old", key, "sha1", extensions...) }
	der := old(ca)
	_, detail := check(t, strict, der, time.Now(), certificates.SHA1)
	mustContain(t, detail, "allow_sha1")
	check(t, allowed, der, time.Now(), "")
	leaf := parsed(t, der)
	check(t, allowed, der, leaf.NotBefore.Add(-time.Second), certificates.NotYetValid)
	check(t, allowed, der, leaf.NotAfter.Add(time.Second), certificates.Expired)
	check(t, allowed, der, ca.cert.NotAfter.Add(time.Second), certificates.IssuerExpired)
	check(t, allowed, old(ca, "keyUsage=keyEncipherment"), time.Now(), certificates.NotForSigning)
	check(t, allowed, old(ca, "1.2.3.4=critical,ASN1:NULL"), time.Now(), certificates.Untrusted)
	check(t, allowed, old(newAuthority(t, "Test Level 1D", nil)), time.Now(), certificates.Untrusted)

	spoilt := append([]byte{}, der...)
	spoilt[len(spoilt)-9] ^= 1
	check(t, allowed, spoilt, time.Now(), certificates.Untrusted)

	for name, extension := range map[string]string{
		"may not sign certificates": "keyUsage=critical,cRLSign",
		"is no authority":           "basicConstraints=critical,CA:FALSE",
		"has name constraints":      "nameConstraints=critical,permitted;dirName:dir\n[dir]\nCN=X\n",
	} {
		t.Run("an issuer that "+name, func(t *testing.T) {
			odd := newAuthority(t, "Odd", nil, extension)
			check(t, certificates.Policy{Issuers: []*x509.Certificate{odd.cert}, AllowSHA1: true}, old(odd), time.Now(), certificates.Untrusted)
		})
	}
	t.Run("through an intermediate", func(t *testing.T) {
		between := newAuthority(t, "Between", ca)
		check(t, certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Intermediates: []*x509.Certificate{between.cert}, AllowSHA1: true},
			old(between), time.Now(), certificates.Untrusted)
	})
	t.Run("a list", func(t *testing.T) {
		s := newSite(t)
		der := ca.card("listed", s.at("/1d.crl"))
		s.put("/1d.crl", ca.listFor([]string{"-crlhours", "2", "-md", "sha1"}))
		strict.Revocations, strict.RefuseUnchecked = newRevocations(t, s, nil), true
		_, detail := check(t, strict, der, time.Now(), certificates.Unchecked)
		mustContain(t, detail, "allow_sha1")
		strict.AllowSHA1 = true
		check(t, strict, der, time.Now(), "")
	})
}

// The owner and the key of a certificate (SIG-5.5, SIG-5.6, SIG-5.10).
func TestHolder(t *testing.T) {
	ca := newAuthority(t, "Test Level 1D", nil)
	policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}}
	check(t, policy, ca.card("card", "extendedKeyUsage=critical,emailProtection"), time.Now(), "")
	two := ca.file("two.csr")
	key, _ := cardKey()
	ca.openssl("req", "-new", "-config", ca.file("ca.cnf"), "-key", key, "-subj", "/CN=555086689107_OTHER/CN="+user+"_TESTER", "-out", two)
	ca.openssl("x509", "-req", "-in", two, "-CA", ca.file("ca.pem"), "-CAkey", ca.file("ca.key"), "-out", ca.file("two.pem"))
	_, detail := check(t, policy, parse(t, ca.read("two.pem")).Raw, time.Now(), certificates.OtherUser)
	mustContain(t, detail, "2 CNs")
	policy.AnyUser = true
	check(t, policy, parse(t, ca.read("two.pem")).Raw, time.Now(), "")

	short := ca.file("short.key")
	ca.openssl("genrsa", "-out", short, "1024")
	der := ca.issue("short", short, "sha256")
	check(t, policy, der, time.Now(), "")
	policy.MinBits = 2048
	check(t, policy, der, time.Now(), certificates.KeyRefused)
}

// A card with a flawed chip proves nothing, because anybody can compute its private key; nor does such an authority.
func TestWeakKeys(t *testing.T) {
	ca := newAuthority(t, "Test Level 1D", nil)
	private, err := rocatest.Key(2048)
	if err != nil {
		t.Fatal(err)
	}
	weak := ca.file("weak.key")
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	if err := os.WriteFile(weak, text, 0o600); err != nil {
		t.Fatal(err)
	}
	der := ca.issue("weak", weak, "sha256")
	_, detail := check(t, certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, AnyUser: true}, der, time.Now(), certificates.KeyRefused)
	mustContain(t, detail, "CVE-2017-15361")
	if _, err := certificates.ReadPEM(ca.file("weak.pem")); !errors.Is(err, roca.ErrWeak) || !strings.Contains(err.Error(), "weak.pem") {
		t.Errorf("issuer with a weak key: got %v, want ErrWeak", err)
	}
}
