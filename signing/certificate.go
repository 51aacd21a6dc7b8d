package signing

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// maxKeyBits bounds the work that an agent's certificate can cause.
const maxKeyBits = 8192

// verifyCertificate decides whether a certificate may stand behind this session's signatures: issued by someone
// trusted for it, valid now, for signing, of a key that is accepted, and the person's own (contract:
// signing-service §5).
func (s *Service) verifyCertificate(ctx context.Context, of *session, der []byte) (*x509.Certificate, *rsa.PublicKey, *refusal) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, refuse(reasonCertUnreadable, "%d bytes that are no X.509 certificate", len(der))
	}
	if refused := s.verifyChain(ctx, of, leaf); refused != nil {
		return nil, nil, refused
	}
	if leaf.IsCA {
		return nil, nil, refuse(reasonCertNotForSigner, "it is the certificate of an authority")
	}
	const signs = x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature
	if leaf.KeyUsage != 0 && leaf.KeyUsage&signs == 0 {
		return nil, nil, refuse(reasonCertNotForSigner, "its key usage has neither nonRepudiation nor digitalSignature")
	}
	key, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	switch {
	case !isRSA:
		return nil, nil, refuse(reasonCertKey, "the key is not RSA")
	case key.N.BitLen() < s.Trust.MinBits || key.N.BitLen() > maxKeyBits:
		return nil, nil, refuse(reasonCertKey, "the key has %d bits; accepted are %d to %d", key.N.BitLen(), s.Trust.MinBits, maxKeyBits)
	case key.N.BitLen() < 2048:
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "a card signs with a short key",
			slog.String("session", of.ID), slog.Int("bits", key.N.BitLen()))
	}
	if owner, _, _ := strings.Cut(leaf.Subject.CommonName, "_"); !s.Trust.AnyUser && (owner != of.Sub || !twelveDigits(owner)) {
		return nil, nil, refuse(reasonCertUser, "the certificate's CN begins with another user id than the request's sub")
	}
	return leaf, key, nil
}

// verifyChain checks that one of the session's issuers signed the certificate, and that both are valid now.
func (s *Service) verifyChain(ctx context.Context, of *session, leaf *x509.Certificate) *refusal {
	issuers, err := s.issuersFor(ctx, of)
	if err != nil {
		return &refusal{code: reasonInterrupted, detail: "the issuers cannot be read: " + err.Error()}
	}
	now := s.Now()
	roots := x509.NewCertPool()
	for _, issuer := range issuers {
		roots.AddCert(issuer)
	}
	verify := func(at time.Time) error {
		_, err := leaf.Verify(x509.VerifyOptions{
			Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		return err
	}
	err = verify(now)
	if err == nil {
		return nil
	}
	var invalid x509.CertificateInvalidError
	// Only a certificate that would hold at another time is said to be out of time; else the chain is told.
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		switch {
		case now.Before(leaf.NotBefore) && verify(leaf.NotBefore) == nil:
			return refuse(reasonCertNotYet, "valid from %s", leaf.NotBefore.UTC().Format(time.RFC3339))
		case now.After(leaf.NotAfter) && verify(leaf.NotAfter) == nil:
			return refuse(reasonCertExpired, "valid until %s", leaf.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return refuse(reasonCertUntrusted, "%s", whyUntrusted(err))
}

// whyUntrusted words a failed verification for the operator. The error's own text can hold names out of the
// certificate, which are a person's.
func whyUntrusted(err error) string {
	var invalid x509.CertificateInvalidError
	var unhandled x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &x509.UnknownAuthorityError{}):
		return "no accepted issuer signed it, or it did with a hash that is not accepted, such as SHA-1"
	case errors.As(err, &unhandled):
		return "it has a critical extension that is not understood"
	case errors.As(err, &invalid):
		return fmt.Sprintf("it or its issuer is not valid (x509 reason %d)", invalid.Reason)
	}
	return fmt.Sprintf("it does not verify (%T)", err)
}

// issuersFor returns who may have issued the certificate of a session's signer. The mock's own CA vouches for
// mocks alone.
func (s *Service) issuersFor(ctx context.Context, of *session) ([]*x509.Certificate, error) {
	if _, mock, _ := s.routeFor(of); !mock || s.Trust.Mock == nil {
		return s.Trust.Issuers, nil
	}
	ca, err := s.Trust.Mock(ctx)
	if err != nil {
		return nil, err
	}
	return append([]*x509.Certificate{ca}, s.Trust.Issuers...), nil
}
