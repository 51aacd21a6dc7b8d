package hostile

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"time"
)

// Answer is what an agent says, whatever wire carries it.
type Answer struct {
	User        string // who was asked to sign
	Algorithm   string
	Payloads    [][]byte // what was to be signed, in order
	Certificate []byte   // DER
	Items       []Item
}

// Item is one signature.
type Item struct {
	ID        string
	Signature []byte
}

// Outcome is what the gateway must make of a wrong answer.
type Outcome struct {
	State  string // failed: for good; opened: it can be tried again
	Reason string
}

// What may come of an answer.
var (
	Forged     = Outcome{"failed", "signature_invalid"}
	Mismatch   = Outcome{"failed", "agent_mismatch"}
	Unreadable = Outcome{"failed", "certificate_unreadable"}
	Untrusted  = Outcome{"failed", "certificate_untrusted"}
	NotSigner  = Outcome{"failed", "certificate_usage"}
	BadKey     = Outcome{"failed", "certificate_key"}
	Stranger   = Outcome{"failed", "certificate_user"}
)

// Lie is one way to answer wrongly.
type Lie struct {
	Name string
	Tell func(c *Cards, a *Answer)
	Want Outcome
}

// Honest is the answer of a card that does as it is told.
func (c *Cards) Honest(user, algorithm string, ids []string, payloads [][]byte) *Answer {
	a := &Answer{User: user, Algorithm: algorithm, Payloads: payloads, Certificate: c.Card(user, nil)}
	for i, payload := range payloads {
		a.Items = append(a.Items, Item{ids[i], c.Sign(algorithm, payload)})
	}
	return a
}

// Lies are wrong contents for a request of at least three items under RS256.
func Lies() []Lie { return slices.Concat(signatureLies(), itemLies(), certificateLies()) }

// signed replaces the second signature.
func signed(change func(c *Cards, a *Answer, signature []byte) []byte) func(*Cards, *Answer) {
	return func(c *Cards, a *Answer) { a.Items[1].Signature = change(c, a, slices.Clone(a.Items[1].Signature)) }
}

func signatureLies() []Lie {
	lies := []Lie{}
	for name, change := range map[string]func(c *Cards, a *Answer, signature []byte) []byte{
		"the first bit flipped": func(_ *Cards, _ *Answer, s []byte) []byte { s[0] ^= 0x80; return s },
		"the last bit flipped":  func(_ *Cards, _ *Answer, s []byte) []byte { s[len(s)-1] ^= 1; return s },
		"reversed":              func(_ *Cards, _ *Answer, s []byte) []byte { slices.Reverse(s); return s },
		"cut":                   func(_ *Cards, _ *Answer, s []byte) []byte { return s[1:] },
		"one byte longer":       func(_ *Cards, _ *Answer, s []byte) []byte { return append([]byte{0}, s...) },
		"nothing but zeros":     func(_ *Cards, _ *Answer, s []byte) []byte { return make([]byte, len(s)) },
		"one":                   func(_ *Cards, _ *Answer, s []byte) []byte { return append(make([]byte, len(s)-1), 1) },
		"as large as can be":    func(_ *Cards, _ *Answer, s []byte) []byte { return bytes.Repeat([]byte{0xff}, len(s)) },
		"a byte only":           func(*Cards, *Answer, []byte) []byte { return []byte{1} },
		"under RS1":             func(c *Cards, a *Answer, _ []byte) []byte { return c.Sign("RS1", a.Payloads[1]) },
		"under PS256":           func(c *Cards, a *Answer, _ []byte) []byte { return c.Sign("PS256", a.Payloads[1]) },
		"of the text and a newline": func(c *Cards, a *Answer, _ []byte) []byte {
			return c.Sign("RS256", append(slices.Clone(a.Payloads[1]), '\n'))
		},
		"of the text's base64": func(c *Cards, a *Answer, _ []byte) []byte {
			return c.Sign("RS256", []byte(base64.StdEncoding.EncodeToString(a.Payloads[1])))
		},
		"of nothing": func(c *Cards, _ *Answer, _ []byte) []byte { return c.Sign("RS256", nil) },
		"by another key": func(c *Cards, a *Answer, _ []byte) []byte {
			return sign(c.t, c2(rsa.GenerateKey(rand.Reader, 2048))(c.t), "RS256", a.Payloads[1])
		},
		"the certificate's own": func(c *Cards, a *Answer, _ []byte) []byte {
			return c2(x509.ParseCertificate(a.Certificate))(c.t).Signature
		},
	} {
		lies = append(lies, Lie{"a signature: " + name, signed(change), Forged})
	}
	slices.SortFunc(lies, func(a, b Lie) int { return strings.Compare(a.Name, b.Name) })
	return append(lies,
		Lie{"two signatures swapped", func(_ *Cards, a *Answer) {
			a.Items[0].Signature, a.Items[2].Signature = a.Items[2].Signature, a.Items[0].Signature
		}, Forged},
		Lie{"one signature for all", func(_ *Cards, a *Answer) {
			for i := range a.Items {
				a.Items[i].Signature = a.Items[0].Signature
			}
		}, Forged})
}

func itemLies() []Lie {
	return []Lie{
		{"an item missing", func(_ *Cards, a *Answer) { a.Items = slices.Delete(a.Items, 1, 2) }, Mismatch},
		{"an item more", func(_ *Cards, a *Answer) { a.Items = append(a.Items, Item{"extra", a.Items[0].Signature}) }, Mismatch},
		{"an item twice", func(_ *Cards, a *Answer) { a.Items = append(a.Items, a.Items[1]) }, Mismatch},
		{"an item twice, and another missing", func(_ *Cards, a *Answer) { a.Items[2] = a.Items[1] }, Mismatch},
		{"an id in capitals", func(_ *Cards, a *Answer) { a.Items[1].ID = strings.ToUpper(a.Items[1].ID) }, Mismatch},
		{"an id with a blank", func(_ *Cards, a *Answer) { a.Items[1].ID += " " }, Mismatch},
		{"no id", func(_ *Cards, a *Answer) { a.Items[1].ID = "" }, Mismatch},
	}
}

// carded replaces the certificate by another of the issuer's.
func carded(change func(*x509.Certificate)) func(*Cards, *Answer) {
	return func(c *Cards, a *Answer) { a.Certificate = c.Card(a.User, change) }
}

func certificateLies() []Lie {
	return []Lie{
		{"a certificate: of another user", func(c *Cards, a *Answer) { a.Certificate = c.Card("555086600000", nil) }, Stranger},
		{"a certificate: of nobody", carded(func(t *x509.Certificate) { t.Subject = pkix.Name{Organization: []string{"nhs"}} }), Stranger},
		{"a certificate: of two", carded(func(t *x509.Certificate) {
			t.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "555086600000_X"},
				{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: t.Subject.CommonName}}
		}), Stranger},
		{"a certificate: expired", carded(func(t *x509.Certificate) { t.NotAfter = time.Now().Add(-time.Hour) }), Outcome{"failed", "certificate_expired"}},
		{"a certificate: of tomorrow", carded(func(t *x509.Certificate) { t.NotBefore = time.Now().Add(24 * time.Hour) }), Outcome{"failed", "certificate_not_yet_valid"}},
		{"a certificate: revoked", carded(func(t *x509.Certificate) { t.SerialNumber = revokedSerial }), Outcome{"failed", "certificate_revoked"}},
		{"a certificate: of a list that is not there", carded(func(t *x509.Certificate) { t.CRLDistributionPoints[0] += "x" }), Outcome{"opened", "certificate_revocation_unknown"}},
		{"a certificate: with a list elsewhere", carded(func(t *x509.Certificate) {
			t.CRLDistributionPoints[0] = "http://169.254.169.254/latest/meta-data"
		}), Outcome{"opened", "certificate_revocation_unknown"}},
		{"a certificate: by an issuer's namesake", func(c *Cards, a *Answer) { a.Certificate = c.issue(c.other, a.User, c.key.Public(), nil) }, Untrusted},
		{"a certificate: signed by itself", func(c *Cards, a *Answer) {
			t := c2(x509.ParseCertificate(a.Certificate))(c.t)
			t.SignatureAlgorithm, t.PublicKey = 0, c.key.Public()
			a.Certificate = c2(x509.CreateCertificate(rand.Reader, t, t, c.key.Public(), c.key))(c.t)
		}, Untrusted},
		{"a certificate: signed by a card", func(c *Cards, a *Answer) {
			card := c2(x509.ParseCertificate(a.Certificate))(c.t)
			t := *card
			t.SerialNumber, t.SignatureAlgorithm = big.NewInt(5), 0
			a.Certificate = c2(x509.CreateCertificate(rand.Reader, &t, card, c.key.Public(), c.key))(c.t)
		}, Untrusted},
		{"a certificate: with a bit flipped", func(_ *Cards, a *Answer) { a.Certificate[len(a.Certificate)-9] ^= 1 }, Untrusted},
		{"a certificate: the issuer's own", func(c *Cards, a *Answer) { a.Certificate = c.own.cert.Raw }, NotSigner},
		{"a certificate: of an authority", carded(func(t *x509.Certificate) { t.IsCA = true }), NotSigner},
		{"a certificate: for encryption", carded(func(t *x509.Certificate) { t.KeyUsage = x509.KeyUsageKeyEncipherment }), NotSigner},
		{"a certificate: with something critical", carded(func(t *x509.Certificate) {
			t.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}), Untrusted},
		{"a certificate: of an EC key", func(c *Cards, a *Answer) {
			a.Certificate = c.issue(c.own, a.User, c2(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(c.t).Public(), nil)
		}, BadKey},
		{"a certificate: of a key of 1024 bits", func(c *Cards, a *Answer) {
			a.Certificate = c.issue(c.own, a.User, c2(rsa.GenerateKey(rand.Reader, 1024))(c.t).Public(), nil)
		}, BadKey},
		{"a certificate: of a key of 12000 bits", func(c *Cards, a *Answer) {
			modulus := new(big.Int).SetBit(big.NewInt(1), 12000, 1)
			a.Certificate = c.issue(c.own, a.User, &rsa.PublicKey{N: modulus, E: 65537}, nil)
		}, BadKey},
		{"a certificate: of another key", func(c *Cards, a *Answer) {
			a.Certificate = c.issue(c.own, a.User, c2(rsa.GenerateKey(rand.Reader, 2048))(c.t).Public(), nil)
		}, Forged},
		{"a certificate: in PEM", func(_ *Cards, a *Answer) {
			a.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate})
		}, Unreadable},
		{"a certificate: two of them", func(_ *Cards, a *Answer) { a.Certificate = slices.Concat(a.Certificate, a.Certificate) }, Unreadable},
		{"a certificate: cut", func(_ *Cards, a *Answer) { a.Certificate = a.Certificate[:len(a.Certificate)/2] }, Unreadable},
		{"a certificate: not one", func(_ *Cards, a *Answer) { a.Certificate = []byte("none") }, Unreadable},
	}
}
