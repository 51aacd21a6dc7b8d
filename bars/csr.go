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

// minCertificateBits is the least that a certificate's RSA key may have (BAR-4.5).
const minCertificateBits = 2048

// NewRequest makes a certificate signing request, in PEM, as NHS England signs them (BAR-4.5): the FQDN is
// the CN and the only subject alternative name, and nothing else is said; in particular no e-mail address.
func NewRequest(fqdn string, key crypto.Signer) ([]byte, error) {
	public, ok := key.Public().(*rsa.PublicKey)
	if !ok || public.N.BitLen() < minCertificateBits {
		return nil, fmt.Errorf("a certificate needs an RSA key of at least %d bits", minCertificateBits)
	}
	if len(fqdn) > 64 {
		return nil, fmt.Errorf("%s has more than 64 letters, which is all that a CN can have (RFC 5280, appendix A); choose a shorter one", fqdn)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: fqdn}, DNSNames: []string{fqdn}, SignatureAlgorithm: x509.SHA256WithRSA,
	}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}
