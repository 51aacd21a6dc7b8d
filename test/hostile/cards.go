package hostile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Cards issues cards for whoever is asked for, and keeps the revocation list that they name.
type Cards struct {
	Issuer []byte // PEM: whom the gateway has to trust
	Host   string // host:port of the revocation list, which the gateway has to be allowed to ask

	t     testing.TB
	key   *rsa.PrivateKey // of all cards
	own   authority
	other authority // of the same name and key id, which nobody trusts
	lists *httptest.Server
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

var revokedSerial = big.NewInt(666)

// NewCards makes an issuer and serves its revocation list until the test ends.
func NewCards(t testing.TB) *Cards {
	c := &Cards{t: t, key: c2(rsa.GenerateKey(rand.Reader, 2048))(t), own: newAuthority(t), other: newAuthority(t)}
	c.Issuer = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.own.cert.Raw})
	c.lists = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/1d.crl" {
			http.NotFound(w, r)
			return
		}
		list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour),
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: revokedSerial, RevocationTime: time.Now().Add(-time.Hour)}},
		}, c.own.cert, c.own.key)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(list)
	}))
	t.Cleanup(c.lists.Close)
	c.Host = strings.TrimPrefix(c.lists.URL, "http://")
	return c
}

// c2 ends the test where something cannot be made.
func c2[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	key := c2(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Hostile Level 1D"}, SubjectKeyId: []byte("one for both"),
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der := c2(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))(t)
	return authority{c2(x509.ParseCertificate(der))(t), key}
}

// Card is the certificate of a user's card, DER; change may alter what stands in it.
func (c *Cards) Card(user string, change func(*x509.Certificate)) []byte {
	return c.issue(c.own, user, c.key.Public(), change)
}

func (c *Cards) issue(by authority, user string, key crypto.PublicKey, change func(*x509.Certificate)) []byte {
	c.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: user + "_HOSTILE"},
		NotBefore: time.Now().Add(-100 * time.Hour), NotAfter: time.Now().Add(100 * time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageContentCommitment,
		CRLDistributionPoints: []string{c.lists.URL + "/1d.crl"},
	}
	if change != nil {
		change(template)
	}
	return c2(x509.CreateCertificate(rand.Reader, template, by.cert, key, by.key))(c.t)
}

// Sign signs as a card does: RS1, RS256 or PS256.
func (c *Cards) Sign(algorithm string, payload []byte) []byte {
	return sign(c.t, c.key, algorithm, payload)
}

func sign(t testing.TB, key *rsa.PrivateKey, algorithm string, payload []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(payload)
	switch algorithm {
	case "RS1":
		sum := sha1.Sum(payload)
		return c2(rsa.SignPKCS1v15(nil, key, crypto.SHA1, sum[:]))(t)
	case "PS256":
		return c2(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))(t)
	}
	return c2(rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:]))(t)
}
