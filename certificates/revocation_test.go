package certificates_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
)

// Every reason, before and after the signature (SIG-5.7).
func TestReasons(t *testing.T) {
	s, ca := newSite(t), newAuthority(t, "Test Level 1D", nil)
	reasons := []struct {
		reason string
		always bool // it also revokes earlier signatures
	}{
		{"", false}, {"unspecified", false}, {"keyCompromise", true}, {"CACompromise", true}, {"affiliationChanged", false},
		{"superseded", false}, {"cessationOfOperation", false}, {"certificateHold", false},
	}
	cards := map[string][]byte{"good": ca.card("good", s.at("/1d.crl"))}
	for _, r := range reasons {
		name := "card" + r.reason
		cards[r.reason] = ca.card(name, s.at("/1d.crl"))
		ca.revoke(name, r.reason)
	}
	s.put("/1d.crl", ca.list())
	policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: newRevocations(t, s, nil), RefuseUnchecked: true}
	before, after := time.Now().Add(-time.Hour), time.Now().Add(time.Minute)
	check(t, policy, cards["good"], after, "")
	for _, r := range reasons {
		t.Run("reason "+r.reason, func(t *testing.T) {
			_, detail := check(t, policy, cards[r.reason], after, certificates.Revoked)
			mustContain(t, detail, "revoked 2")
			if r.always {
				check(t, policy, cards[r.reason], before, certificates.Revoked)
			} else {
				check(t, policy, cards[r.reason], before, "")
			}
		})
	}
	mustAsk(t, s, "/1d.crl", 1)
}

// Reasons unknown to openssl's command, and lists that it cannot make, are made with the standard library, signed with the
// key of openssl's authority.
func TestOtherReasons(t *testing.T) {
	s, ca := newSite(t), newAuthority(t, "Test Level 1D", nil)
	after, before := time.Now().Add(time.Minute), time.Now().Add(-time.Hour)
	for _, c := range []struct {
		name   string
		reason int
		when   time.Duration // of the revocation, relative to now
		at     time.Time
		want   certificates.Code
	}{
		{"aACompromise", 10, 0, after, certificates.Revoked},
		{"aACompromise later", 10, 0, before, certificates.Revoked},
		{"privilegeWithdrawn", 9, 0, after, certificates.Revoked},
		{"privilegeWithdrawn later", 9, 0, before, ""},
		{"an unknown reason", 7, 0, after, certificates.Revoked},
		{"removeFromCRL", 8, 0, after, ""},
		{"at the very moment", 4, -time.Hour, before.Truncate(time.Second), certificates.Revoked},
		{"keyCompromise in the future", 1, 24 * time.Hour, before, certificates.Revoked},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := "/" + time.Now().Format("150405.000000000")
			der := ca.card("card", s.at(path))
			when := time.Now().Add(c.when)
			if c.name == "at the very moment" {
				when = c.at
			}
			s.put(path, madeList(t, ca, func(l *x509.RevocationList) {
				l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: parsed(t, der).SerialNumber, RevocationTime: when, ReasonCode: c.reason}}
			}))
			policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: newRevocations(t, s, nil), RefuseUnchecked: true}
			check(t, policy, der, c.at, c.want)
		})
	}
}

// madeList returns a list made with the standard library.
func madeList(t testing.TB, ca *authority, change func(*x509.RevocationList)) []byte {
	t.Helper()
	block, _ := pem.Decode(ca.read("ca.key"))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	l := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}
	if change != nil {
		change(l)
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, ca.cert, key.(*rsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parsed(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The issuer's own certificate is checked too, by the authority above it.
func TestIssuerRevoked(t *testing.T) {
	s := newSite(t)
	root := newAuthority(t, "Test Root", nil)
	ca := newAuthority(t, "Test Level 1D", root, s.at("/root.crl"))
	der := ca.card("card", s.at("/1d.crl"))
	s.put("/1d.crl", ca.list())
	s.put("/root.crl", root.list())
	policy := func(issuers, intermediates []*x509.Certificate) certificates.Policy {
		return certificates.Policy{Issuers: issuers, Intermediates: intermediates, Revocations: newRevocations(t, s, nil), RefuseUnchecked: true}
	}
	roots, cas := []*x509.Certificate{root.cert}, []*x509.Certificate{ca.cert}
	t.Run("a longer chain", func(t *testing.T) { check(t, policy(roots, cas), der, time.Now(), "") })
	t.Run("the issuer alone, with its own issuer known", func(t *testing.T) { check(t, policy(cas, roots), der, time.Now(), "") })
	t.Run("the issuer alone", func(t *testing.T) {
		alone := policy(cas, nil)
		if found := alone.Uncheckable(); len(found) != 1 || !found[0].Equal(ca.cert) {
			t.Errorf("got %d uncheckable issuers", len(found))
		}
		_, detail := check(t, alone, der, time.Now(), certificates.Unchecked)
		mustContain(t, detail, "CN=Test Root")
		alone.RefuseUnchecked = false
		accepted, _ := check(t, alone, der, time.Now(), "")
		mustContain(t, accepted.Unchecked, "intermediates")
	})
	t.Run("without the intermediate", func(t *testing.T) { check(t, policy(roots, nil), der, time.Now(), certificates.Untrusted) })
	t.Run("an intermediate is not trusted by itself", func(t *testing.T) {
		check(t, policy([]*x509.Certificate{newAuthority(t, "Other", nil).cert}, cas), der, time.Now(), certificates.Untrusted)
	})
	root.openssl("ca", "-config", root.file("ca.cnf"), "-revoke", ca.file("ca.pem"), "-crl_reason", "CACompromise")
	s.put("/root.crl", root.list())
	for name, p := range map[string]certificates.Policy{"of a longer chain": policy(roots, cas), "with its own issuer known": policy(cas, roots)} {
		t.Run("revoked, "+name, func(t *testing.T) {
			_, detail := check(t, p, der, time.Now(), certificates.IssuerRevoked)
			mustContain(t, detail, "cACompromise")
		})
	}
}

// If there is no source, nothing is asked: no point at all, a directory name, an ldap address.
func TestNoUsablePoint(t *testing.T) {
	s, ca := newSite(t), newAuthority(t, "Test Level 1D", nil)
	policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: newRevocations(t, s, nil), RefuseUnchecked: true}
	for name, extension := range map[string]string{
		"none":                  "nsComment=none",
		"a directory name":      "crlDistributionPoints=dirName:dir\n[dir]\nCN=CRL3\n",
		"a directory's address": "crlDistributionPoints=URI:ldap://ldap.nhs.uk/cn=crl3",
	} {
		t.Run(name, func(t *testing.T) {
			if accepted, _ := check(t, policy, ca.card("card", extension), time.Now(), ""); accepted.Unchecked != "" {
				t.Errorf("got unchecked %q, want nothing to check", accepted.Unchecked)
			}
		})
	}
	t.Run("a directory name beside an address", func(t *testing.T) {
		s.put("/1d.crl", ca.list())
		check(t, policy, ca.card("card", "crlDistributionPoints=URI:"+s.URL+"/1d.crl,dirName:dir\n[dir]\nCN=CRL3\n"), time.Now(), "")
		mustAsk(t, s, "/1d.crl", 1)
	})
	t.Run("a point that the standard library cannot read", func(t *testing.T) {
		check(t, policy, ca.card("card", "2.5.29.31=DER:0500"), time.Now(), certificates.Unreadable)
	})
}

// What a list covers (RFC 5280 §5.2.5), and what it must not contain.
func TestScope(t *testing.T) {
	s, ca := newSite(t), newAuthority(t, "Test Level 1D", nil)
	url := s.URL + "/1d.crl"
	der := ca.card("card", s.at("/1d.crl"))
	ca.revoke("card", "superseded")
	unknown := certificates.Unchecked
	for _, c := range []struct {
		name       string
		extensions []string
		want       certificates.Code
		says       string
	}{
		{"everything", nil, certificates.Revoked, "superseded"},
		{"users", []string{"issuingDistributionPoint=critical,@idp", "[idp]", "onlyuser=TRUE"}, certificates.Revoked, "superseded"},
		{"this point", []string{"issuingDistributionPoint=critical,@idp", "[idp]", "fullname=URI:" + url}, certificates.Revoked, "superseded"},
		{"another point", []string{"issuingDistributionPoint=critical,@idp", "[idp]", "fullname=URI:" + url + "2"}, unknown, "another distribution point"},
		{"authorities", []string{"issuingDistributionPoint=critical,@idp", "[idp]", "onlyCA=TRUE"}, unknown, "other certificates"},
		{"attributes", []string{"issuingDistributionPoint=critical,@idp", "[idp]", "onlyAA=TRUE"}, unknown, "other certificates"},
		{"indirect", []string{"issuingDistributionPoint=critical,@idp", "[idp]", "indirectCRL=TRUE"}, unknown, "indirect"},
		{"some reasons, with a hit", []string{"issuingDistributionPoint=critical,@idp", "[idp]", "onlysomereasons=superseded"}, certificates.Revoked, "superseded"},
		{"a delta", []string{"2.5.29.27=critical,ASN1:INTEGER:1"}, unknown, "delta"},
		{"a delta that does not say it is critical", []string{"2.5.29.27=ASN1:INTEGER:1"}, unknown, "delta"},
		{"where the newest delta is", []string{"2.5.29.46=ASN1:SEQUENCE:fresh", "[fresh]", "none=NULL"}, certificates.Revoked, "superseded"},
		{"something critical", []string{"1.2.3.4=critical,ASN1:NULL"}, unknown, "critical extension"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.put("/1d.crl", ca.list(c.extensions...))
			policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: newRevocations(t, s, nil), RefuseUnchecked: true}
			_, detail := check(t, policy, der, time.Now().Add(time.Minute), c.want)
			mustContain(t, detail, c.says)
		})
	}
	t.Run("some reasons, without a hit", func(t *testing.T) {
		s.put("/1d.crl", ca.list("issuingDistributionPoint=critical,@idp", "[idp]", "onlysomereasons=superseded"))
		policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: newRevocations(t, s, nil), RefuseUnchecked: true}
		_, detail := check(t, policy, ca.card("other", s.at("/1d.crl")), time.Now(), unknown)
		mustContain(t, detail, "only some reasons")
	})
	t.Run("an indirect point", func(t *testing.T) {
		s.put("/1d.crl", ca.list())
		policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: newRevocations(t, s, nil), RefuseUnchecked: true}
		point := ca.card("indirect", "crlDistributionPoints=point\n[point]\nfullname=URI:"+url+"\nCRLissuer=dirName:dir\n[dir]\nCN=Other\n")
		_, detail := check(t, policy, point, time.Now(), unknown)
		mustContain(t, detail, "indirect")
	})
	t.Run("an entry of another issuer's", func(t *testing.T) {
		s.put("/1d.crl", madeList(t, ca, func(l *x509.RevocationList) {
			l.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(1), RevocationTime: time.Now(),
				ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}}}
		}))
		policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: newRevocations(t, s, nil), RefuseUnchecked: true}
		_, detail := check(t, policy, der, time.Now(), unknown)
		mustContain(t, detail, "indirect lists")
	})
}
