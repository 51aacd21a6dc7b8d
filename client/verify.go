package client

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Payload is one thing to be signed.
type Payload struct {
	ID      string `json:"id"`      // the client's own name for it; unique in a request
	Payload string `json:"payload"` // base64 of the bytes that are signed, as SignedInfo makes them
}

// Signature is the service's answer to one Payload.
type Signature struct {
	ID        string `json:"id"`
	Signature string `json:"signature"` // base64
}

// Response is what the service releases for a request (SIG-4.1).
type Response struct {
	Signatures  []Signature `json:"signatures"`  // in the order of the request
	Certificate string      `json:"certificate"` // base64 of one DER X.509 certificate, without armour
}

// Leaf is the certificate that the signatures were made with.
func (r Response) Leaf() (*x509.Certificate, error) {
	der, err := decode(r.Certificate)
	if err != nil {
		return nil, fmt.Errorf("%w: not base64", ErrCertificate)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	return leaf, nil
}

// Result is the verdict on one Payload.
type Result struct {
	ID       string
	Verified bool
	Reason   string // why it was not verified; empty otherwise
}

// What can be wrong with a Response as a whole. Nothing of such a response may be used.
var (
	ErrCertificate = errors.New("the certificate of the response cannot be used")
	ErrItems       = errors.New("the signatures of the response are not those that were asked for")
	ErrSignature   = errors.New("a signature does not verify")
)

// Verify checks a response against the request it answers: the same ids in the same order, and over each
// payload a signature that holds with the certificate's key. The error is nil only if everything was
// verified; it is ErrCertificate, ErrItems or ErrSignature. There is one Result for each payload, in order,
// except when the certificate, the algorithm or the request itself is of no use; then there are none.
// The certificate's issuer, validity and subject are the caller's to judge: see Response.Leaf.
func Verify(algorithm string, payloads []Payload, r Response) ([]Result, error) {
	a, err := algorithmNamed(algorithm)
	if err != nil {
		return nil, err
	}
	if len(payloads) == 0 {
		return nil, errors.New("the request has no payloads")
	}
	if id, twice := repeated(payloads); twice {
		return nil, fmt.Errorf("the request names %.64q twice", id)
	}
	leaf, err := r.Leaf()
	if err != nil {
		return nil, err
	}
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: its key is not an RSA key", ErrCertificate)
	}
	results := make([]Result, len(payloads))
	bad := 0
	for i, p := range payloads {
		results[i] = Result{ID: p.ID, Reason: check(a, key, p, r.Signatures, i)}
		if results[i].Verified = results[i].Reason == ""; !results[i].Verified {
			bad++
		}
	}
	switch err := sameItems(payloads, r.Signatures); {
	case err != nil:
		return results, err
	case bad > 0:
		return results, fmt.Errorf("%w: %d of %d", ErrSignature, bad, len(payloads))
	}
	return results, nil
}

// VerifyPayload checks one signature over the bytes of one payload with a certificate's key. The certificate's issuer,
// validity and subject are the caller's to judge.
func VerifyPayload(algorithm string, certificate *x509.Certificate, payload, signature []byte) error {
	a, err := algorithmNamed(algorithm)
	if err != nil {
		return err
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("%w: its key is not an RSA key", ErrCertificate)
	}
	return a.verify(key, payload, signature)
}

// check returns why payload i has no signature that holds, or "".
func check(a algorithm, key *rsa.PublicKey, p Payload, signatures []Signature, i int) string {
	if i >= len(signatures) || signatures[i].ID != p.ID {
		return "the response has no signature for this item in its place"
	}
	payload, err := decode(p.Payload)
	if err != nil || len(payload) == 0 {
		return "its payload is not base64"
	}
	signature, err := decode(signatures[i].Signature)
	if err != nil {
		return "its signature is not base64"
	}
	if err := a.verify(key, payload, signature); err != nil {
		return "its signature does not verify with the certificate's key"
	}
	return ""
}

// sameItems compares the two lists as old clients read them: by index.
func sameItems(payloads []Payload, signatures []Signature) error {
	if len(payloads) != len(signatures) {
		return fmt.Errorf("%w: %d for %d payloads", ErrItems, len(signatures), len(payloads))
	}
	for i, p := range payloads {
		if signatures[i].ID != p.ID {
			return fmt.Errorf("%w: number %d has another id", ErrItems, i+1)
		}
	}
	return nil
}

func repeated(payloads []Payload) (string, bool) {
	seen := make(map[string]bool, len(payloads))
	for _, p := range payloads {
		if seen[p.ID] {
			return p.ID, true
		}
		seen[p.ID] = true
	}
	return "", false
}

// decode reads base64 exactly: padded, and without the line breaks that the library would pass over.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(s, "\r\n"))
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}
