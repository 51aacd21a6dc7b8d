package certificates

import (
	"bytes"
	"crypto/fips140"
	"crypto/x509"
	"encoding/asn1"
	"time"
)

// sha1Issuer finds the trusted issuer that signed a certificate directly with RSA and SHA-1. The standard library's Verify
// rejects such signatures, so the rules for a path of two are checked here: names and key ids, an authority that may sign
// certificates, both valid at the time, and no unknown critical extension. An issuer with name constraints is rejected,
// because they are not checked. It returns nil and nil if no issuer signed the certificate that way.
func (p Policy) sha1Issuer(leaf *x509.Certificate, at time.Time) (*x509.Certificate, *Refusal) {
	if leaf.SignatureAlgorithm != x509.SHA1WithRSA {
		return nil, nil
	}
	if noSHA1() {
		return nil, refuse(SHA1, "certificate is signed with SHA-1, which this FIPS-only process refuses")
	}
	for _, issuer := range p.Issuers {
		if !signedDirectly(leaf, issuer) {
			continue
		}
		switch {
		case !p.AllowSHA1:
			return nil, refuse(SHA1, "an accepted issuer signed the certificate with SHA-1: set allow_sha1 to accept that")
		case at.Before(issuer.NotBefore) || at.After(issuer.NotAfter):
			return nil, refuse(IssuerExpired, "issuer's certificate was not valid at %s", stamp(at))
		case at.Before(leaf.NotBefore):
			return nil, refuse(NotYetValid, "valid from %s", stamp(leaf.NotBefore))
		case at.After(leaf.NotAfter):
			return nil, refuse(Expired, "valid until %s", stamp(leaf.NotAfter))
		}
		return issuer, nil
	}
	return nil, nil
}

// signedDirectly verifies a certificate with an issuer's key, whatever the hash.
func signedDirectly(leaf, issuer *x509.Certificate) bool {
	return bytes.Equal(leaf.RawIssuer, issuer.RawSubject) && (!isSHA1(leaf.SignatureAlgorithm) || !noSHA1()) &&
		(len(leaf.AuthorityKeyId) == 0 || len(issuer.SubjectKeyId) == 0 || bytes.Equal(leaf.AuthorityKeyId, issuer.SubjectKeyId)) &&
		issuer.BasicConstraintsValid && issuer.IsCA &&
		(issuer.KeyUsage == 0 || issuer.KeyUsage&x509.KeyUsageCertSign != 0) &&
		len(leaf.UnhandledCriticalExtensions) == 0 && len(issuer.UnhandledCriticalExtensions) == 0 &&
		!hasNameConstraints(issuer) &&
		issuer.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil
}

func hasNameConstraints(c *x509.Certificate) bool {
	for _, extension := range c.Extensions {
		if extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 30}) {
			return true
		}
	}
	return false
}

// isSHA1 reports whether an algorithm uses SHA-1.
func isSHA1(algorithm x509.SignatureAlgorithm) bool {
	return algorithm == x509.SHA1WithRSA || algorithm == x509.ECDSAWithSHA1 || algorithm == x509.DSAWithSHA1
}

// noSHA1 reports whether this process refuses SHA-1 altogether.
func noSHA1() bool { return fips140.Enforced() }
