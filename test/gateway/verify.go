package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// digests are openssl's arguments for each signature algorithm.
var digests = map[string][]string{
	"RS1":   {"-sha1"},
	"RS256": {"-sha256"},
	"PS256": {"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"},
}

// Verifier verifies signatures of one certificate's key by `openssl dgst -verify`.
type Verifier struct {
	dir    string
	digest []string
}

// NewVerifier takes the certificate as the service gives it: base64 of DER.
func NewVerifier(t testing.TB, algorithm, certificate string) Verifier {
	t.Helper()
	v := Verifier{dir: t.TempDir(), digest: digests[algorithm]}
	if v.digest == nil {
		t.Fatalf("no algorithm %q", algorithm)
	}
	der := unbase64(t, certificate)
	v.keep(t, "certificate.pem", openssl(t, der, "x509", "-inform", "DER"))
	v.keep(t, "public.pem", openssl(t, der, "x509", "-inform", "DER", "-noout", "-pubkey"))
	return v
}

// Certificate is the path of the certificate as PEM.
func (v Verifier) Certificate() string { return filepath.Join(v.dir, "certificate.pem") }

func (v Verifier) keep(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(v.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Verify says what openssl has against a signature over a payload; nil: nothing.
func (v Verifier) Verify(payload, signature []byte) error {
	file := filepath.Join(v.dir, "signature")
	if err := os.WriteFile(file, signature, 0o600); err != nil {
		return err
	}
	args := append([]string{"dgst"}, v.digest...)
	_, err := Run(payload, "openssl", append(args, "-verify", filepath.Join(v.dir, "public.pem"), "-signature", file)...)
	return err
}

// VerifyXML says what xmlsec1 has against a signed document, with the certificate's key; nil: nothing.
// xmlsec1 follows the Reference's URI, makes the canonical forms itself and checks digest and signature.
func (v Verifier) VerifyXML(document []byte) error {
	file := filepath.Join(v.dir, "document.xml")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		return err
	}
	_, err := Run(nil, "xmlsec1", "--verify", "--id-attr:Id", "urn:example:prescription:Prescription", "--pubkey-cert-pem", v.Certificate(), file)
	if err != nil {
		return fmt.Errorf("xmlsec1: %w", err)
	}
	return nil
}
