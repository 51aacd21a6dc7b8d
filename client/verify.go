package client

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Payload is one item to be signed.
type Payload struct {
	ID      string `json:"id"`      // the client's name for it; unique in a request
	Payload string `json:"payload"` // base64 of the bytes to sign, as SignedInfo returns them
}

// Signature is the service's signature of one Payload.
type Signature struct {
	ID        string `json:"id"`
	Signature string `json:"signature"` // base64
}

// Response is what the service releases for a request (SIG-4.1).
type Response struct {
	Signatures  []Signature `json:"signatures"`  // in the order of the request
	Certificate string      `json:"certificate"` // base64 of one DER X.509 certificate, without PEM armour
}

// Leaf parses the certificate of the key that signed.
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

// Result is the verification result of one Payload.
type Result struct {
	ID       string
	Verified bool
	Reason   string // why verification failed; otherwise empty
}

// The errors about a Response as a whole. Nothing in such a response may be used.
var (
	ErrCertificate = errors.New("the certificate of the response cannot be used")
	ErrItems       = errors.New("the signatures of the response do not match the request")
	ErrSignature   = errors.New("a signature does not verify")
)

// Verify verifies a response against its request: the same ids in the same order, and for each payload a signature that is
// valid under the certificate's key. The error is nil only if everything was verified; otherwise it wraps ErrCertificate,
// ErrItems or ErrSignature. There is one Result per payload, in order, or none if the certificate, the algorithm or the
// request itself cannot be used. The caller checks the certificate's issuer, validity and subject: see
// Response.Leaf.
func Verify(algorithm string, payloads []Payload, r Response) ([]Result, error) {
	a, err := algorithmNamed(algorithm)
	if err != nil {
		return nil, err
	}
	if len(payloads) == 0 {
		return nil, errors.New("request has no payloads")
	}
	if id, twice := repeated(payloads); twice {
		return nil, fmt.Errorf("request has the id %.64q twice", id)
	}
	leaf, err := r.Leaf()
	if err != nil {
		return nil, err
	}
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: key is not RSA", ErrCertificate)
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

// VerifyPayload verifies one signature over the bytes of one payload with a certificate's key. The caller checks the
// certificate's issuer, validity and subject.
func VerifyPayload(algorithm string, certificate *x509.Certificate, payload, signature []byte) error {
	a, err := algorithmNamed(algorithm)
	if err != nil {
		return err
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return fmt.Errorf("%w: key is not RSA", ErrCertificate)
	}
	return a.verify(key, payload, signature)
}

// check returns why payload i has no valid signature, or "".
func check(a algorithm, key *rsa.PublicKey, p Payload, signatures []Signature, i int) string {
	if i >= len(signatures) || signatures[i].ID != p.ID {
		return "response has no signature for this item in its place"
	}
	payload, err := decode(p.Payload)
	if err != nil || len(payload) == 0 {
		return "payload is not base64"
	}
	signature, err := decode(signatures[i].Signature)
	if err != nil {
		return "signature is not base64"
	}
	if err := a.verify(key, payload, signature); err != nil {
		return "signature does not verify with the certificate's key"
	}
	return ""
}

// sameItems compares the two lists by index, as old clients do.
func sameItems(payloads []Payload, signatures []Signature) error {
	if len(payloads) != len(signatures) {
		return fmt.Errorf("%w: got %d for %d payloads", ErrItems, len(signatures), len(payloads))
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

// decode decodes base64 strictly: with padding, and without the line breaks that the library would skip.
func decode(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(s, "\r\n"))
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}
