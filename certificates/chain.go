package certificates

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// chains returns the valid chains from a certificate to a trusted issuer at a time, at least one, or the reason why there
// is none. Each starts with the certificate and ends with the issuer.
func (p Policy) chains(leaf *x509.Certificate, at time.Time) ([][]*x509.Certificate, *Refusal) {
	chains, err := p.verify(leaf, at)
	if err == nil {
		return chains, nil
	}
	if refused := p.outOfTime(leaf, at, err); refused != nil {
		return nil, refused
	}
	if issuer, refused := p.sha1Issuer(leaf, at); issuer != nil || refused != nil {
		return [][]*x509.Certificate{{leaf, issuer}}, refused
	}
	return nil, refuse(Untrusted, "%s", whyUntrusted(err))
}

// verify leaves path, names, critical extensions and signatures to the standard library.
func (p Policy) verify(leaf *x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	return leaf.Verify(x509.VerifyOptions{
		Roots: pool(p.Issuers), Intermediates: pool(p.Intermediates), CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
}

func pool(certificates []*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certificates {
		pool.AddCert(c)
	}
	return pool
}

// outOfTime returns a refusal if the certificate, or an issuer, would be valid at another time; otherwise nil.
func (p Policy) outOfTime(leaf *x509.Certificate, at time.Time, err error) *Refusal {
	var invalid x509.CertificateInvalidError
	if !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		return nil
	}
	switch _, when := p.verify(leaf, within(at, leaf)); {
	case when != nil && p.holdsOnce(leaf):
		return refuse(IssuerExpired, "issuer's certificate was not valid at %s", stamp(at))
	case when != nil:
		return nil
	case at.Before(leaf.NotBefore):
		return refuse(NotYetValid, "valid from %s", stamp(leaf.NotBefore))
	case at.After(leaf.NotAfter):
		return refuse(Expired, "valid until %s", stamp(leaf.NotAfter))
	}
	return nil
}

// within returns the time in a certificate's validity that is nearest to another.
func within(at time.Time, c *x509.Certificate) time.Time {
	switch {
	case at.Before(c.NotBefore):
		return c.NotBefore
	case at.After(c.NotAfter):
		return c.NotAfter
	}
	return at
}

// holdsOnce reports whether there is any time at which a chain to a trusted issuer is valid. If there is, the start of
// one of the validities is such a time.
func (p Policy) holdsOnce(leaf *x509.Certificate) bool {
	all := slices.Concat([]*x509.Certificate{leaf}, p.Issuers, p.Intermediates)
	return slices.ContainsFunc(all, func(c *x509.Certificate) bool {
		_, err := p.verify(leaf, c.NotBefore)
		return err == nil
	})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// whyUntrusted describes a failed verification for the operator. The error's own text may contain names from the
// certificate, which are personal data.
func whyUntrusted(err error) string {
	var invalid x509.CertificateInvalidError
	var unhandled x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &x509.UnknownAuthorityError{}):
		return "no accepted issuer signed the certificate"
	case errors.As(err, &unhandled):
		return "certificate has an unknown critical extension"
	case errors.As(err, &invalid):
		return fmt.Sprintf("certificate or its issuer is not valid (x509 reason %d)", invalid.Reason)
	}
	return fmt.Sprintf("certificate does not verify (%T)", err)
}
