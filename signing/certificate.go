package signing

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"log/slog"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
)

// checkWithin bounds what a certificate's check may wait for lists and responders. Nobody keeps the session's lease
// meanwhile, so a short lease shortens it.
const checkWithin = 10 * time.Second

// verifyCertificate decides whether a certificate may stand behind this session's signatures, by the policy of those
// who are trusted for it (SIG-5).
func (s *Service) verifyCertificate(ctx context.Context, of *session, der []byte) (*x509.Certificate, *rsa.PublicKey, *refusal) {
	policy, err := s.policyFor(ctx, of)
	if err != nil {
		return nil, nil, &refusal{code: reasonInterrupted, detail: "the issuers cannot be read: " + err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, min(checkWithin, s.Durations.Lease/3))
	defer cancel()
	accepted, refused := policy.Check(ctx, der, of.Sub, s.Now())
	if refused != nil {
		return nil, nil, &refusal{code: string(refused.Code), final: !refused.Retry(), detail: refused.Detail}
	}
	if bits := accepted.Key.N.BitLen(); bits < 2048 {
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "a card signs with a short key",
			slog.String("session", of.ID), slog.Int("bits", bits))
	}
	if accepted.Unchecked != "" {
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "nobody could say whether a card is revoked; it was accepted, as crl on_failure says",
			slog.String("session", of.ID), slog.String("detail", accepted.Unchecked))
	}
	return accepted.Certificate, accepted.Key, nil
}

// policyFor says who may have issued the certificate of a session's signer. The mock's own CA vouches for mocks alone.
func (s *Service) policyFor(ctx context.Context, of *session) (certificates.Policy, error) {
	policy := s.Trust.Policy
	if _, mock := s.routesFor(of); !mock || s.Trust.Mock == nil {
		return policy, nil
	}
	ca, err := s.Trust.Mock(ctx)
	if err != nil {
		return policy, err
	}
	policy.Issuers = append([]*x509.Certificate{ca}, policy.Issuers...)
	return policy, nil
}
