package client

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// card is a smartcard in tests: a key and its certificate.
type card struct {
	key         *rsa.PrivateKey
	certificate string
}

func newCard(t testing.TB) card {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return card{key, certify(t, key.Public(), key)}
}

// certify returns a self-signed certificate in base64.
func certify(t testing.TB, public crypto.PublicKey, key crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "555086689106_TEST"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func (c card) sign(t testing.TB, name string, p Payload) Signature {
	t.Helper()
	a, err := algorithmNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.StdEncoding.DecodeString(p.Payload)
	if err != nil {
		t.Fatal(err)
	}
	var signature []byte
	if a.pss {
		signature, err = rsa.SignPSS(rand.Reader, c.key, a.hash, a.digest(payload), &rsa.PSSOptions{SaltLength: 32})
	} else {
		signature, err = rsa.SignPKCS1v15(nil, c.key, a.hash, a.digest(payload))
	}
	if err != nil {
		t.Fatal(err)
	}
	return Signature{ID: p.ID, Signature: base64.StdEncoding.EncodeToString(signature)}
}

func (c card) respond(t testing.TB, algorithm string, payloads []Payload) Response {
	t.Helper()
	r := Response{Certificate: c.certificate}
	for _, p := range payloads {
		r.Signatures = append(r.Signatures, c.sign(t, algorithm, p))
	}
	return r
}

func payloads(t testing.TB, algorithm string, n int) []Payload {
	t.Helper()
	out := make([]Payload, n)
	for i := range out {
		payload, _, err := SignedInfo(algorithm, fmt.Appendf(nil, "<p>%d</p>", i))
		if err != nil {
			t.Fatal(err)
		}
		out[i] = Payload{ID: fmt.Sprintf("item-%d", i), Payload: base64.StdEncoding.EncodeToString(payload)}
	}
	return out
}

func ecCertificate(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return certify(t, key.Public(), key)
}

func signer(t testing.TB) (*jwks.Signer, *rsa.PublicKey) {
	t.Helper()
	key, err := jwks.GenerateRSA(2048, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := jwks.NewSigner("demo-epr-1", key)
	if err != nil {
		t.Fatal(err)
	}
	return s, &key.PublicKey
}
