package certificates

import (
	"bytes"
	"crypto/fips140"
	"crypto/x509"
	"encoding/asn1"
	"time"
)

// sha1Issuer finds the trusted issuer that signed a certificate directly with RSA and SHA-1. The standard library's
// Verify refuses such signatures, so the rules of a path of two are held here: names and key ids, an authority that
// may sign certificates, both valid at the time, and nothing critical that nobody understands. An issuer with name
// constraints is not accepted, since they are not looked at. It returns nil and nil where no issuer did.
func (p Policy) sha1Issuer(leaf *x509.Certificate, at time.Time) (*x509.Certificate, *Refusal) {
	if leaf.SignatureAlgorithm != x509.SHA1WithRSA {
		return nil, nil
	}
	if noSHA1() {
		return nil, refuse(SHA1, "it is signed with SHA-1, which this FIPS-only process refuses")
	}
	for _, issuer := range p.Issuers {
		if !signedDirectly(leaf, issuer) {
			continue
		}
		switch {
		case !p.AllowSHA1:
			return nil, refuse(SHA1, "an accepted issuer signed it with SHA-1; allow_sha1 would accept that")
		case at.Before(issuer.NotBefore) || at.After(issuer.NotAfter):
			return nil, refuse(IssuerExpired, "the certificate of its issuer was not valid at %s", stamp(at))
		case at.Before(leaf.NotBefore):
			return nil, refuse(NotYetValid, "valid from %s", stamp(leaf.NotBefore))
		case at.After(leaf.NotAfter):
			return nil, refuse(Expired, "valid until %s", stamp(leaf.NotAfter))
		}
		return issuer, nil
	}
	return nil, nil
}

// signedDirectly holds a certificate against an issuer's, with whatever hash it is signed.
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

// isSHA1 tells whether an algorithm hashes with SHA-1.
func isSHA1(algorithm x509.SignatureAlgorithm) bool {
	return algorithm == x509.SHA1WithRSA || algorithm == x509.ECDSAWithSHA1 || algorithm == x509.DSAWithSHA1
}

// noSHA1 tells whether this process refuses SHA-1 altogether.
func noSHA1() bool { return fips140.Enforced() }
