package bars

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
)

// minCertificateBits is the smallest RSA key a certificate may have (BAR-4.5).
const minCertificateBits = 2048

// NewRequest makes a certificate signing request in PEM in the form NHS England signs (BAR-4.5): the FQDN is the CN
// and the only subject alternative name. It holds nothing else, in particular no e-mail address.
func NewRequest(fqdn string, key crypto.Signer) ([]byte, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok || public.N.BitLen() < minCertificateBits {
		return nil, fmt.Errorf("the certificate's key must be RSA of at least %d bits", minCertificateBits)
	}
	if len(fqdn) > 64 {
		return nil, fmt.Errorf("%s is longer than the 64 characters of a CN (RFC 5280, appendix A): choose a shorter name", fqdn)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: fqdn}, DNSNames: []string{fqdn}, SignatureAlgorithm: x509.SHA256WithRSA,
	}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}
