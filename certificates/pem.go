package certificates

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/seed-dd2befc3/countersign/roca"
	"github.com/seed-dd2befc3/countersign/textfile"
)

// ReadPEM reads the certificates of PEM files in order, such as those of issuers. A file without certificates, with other
// PEM blocks, or with a certificate whose private key can be computed, is an error.
func ReadPEM(paths ...string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		found, err := ParsePEM(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// ParsePEM is ReadPEM for text in memory. It reads what textfile.Blocks reads, and like it skips no block.
func ParsePEM(text []byte) ([]*x509.Certificate, error) {
	blocks, err := textfile.Blocks(text)
	if err != nil {
		return nil, err
	}
	var found []*x509.Certificate
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM block is %s, want only CERTIFICATE", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if key, isRSA := certificate.PublicKey.(*rsa.PublicKey); isRSA && roca.Weak(key.N) {
			return nil, fmt.Errorf("certificate of %s: %w", certificate.Subject, roca.ErrWeak)
		}
		found = append(found, certificate)
	}
	if len(found) == 0 {
		return nil, errors.New("no PEM certificate found")
	}
	return found, nil
}

// CheckIssuer refuses a certificate that can vouch for none: one of a person, a card or a server, where an authority's is
// meant. Of version 1, which cannot say what it is, it takes those that vouch for themselves (RFC 5280 §4.2.1.9).
func CheckIssuer(c *x509.Certificate) error {
	const fix = "; name the certificate of the authority that issued it"
	switch {
	case c.BasicConstraintsValid && !c.IsCA, c.Version == 3 && !c.BasicConstraintsValid:
		return fmt.Errorf("the certificate of %s is no authority's (basicConstraints is not CA:TRUE), so it vouches for no card%s", c.Subject, fix)
	case c.Version < 3 && !bytes.Equal(c.RawSubject, c.RawIssuer):
		return fmt.Errorf("the certificate of %s is of version %d and not its own issuer's, so it vouches for no card%s", c.Subject, c.Version, fix)
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("the certificate of %s may not sign certificates (keyUsage has no keyCertSign), so it vouches for no card%s", c.Subject, fix)
	}
	return nil
}
