package prescription

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/client"
)

// Judge returns the faults of a certificate behind a signature made at the given time, or none if it is trusted.
type Judge func(ctx context.Context, certificate *x509.Certificate, signed time.Time) []certificates.Code

// What EPS says about signatures (EPS-4.5 to EPS-4.13).
const (
	badFormat           = "Invalid signature format"
	severalCertificates = "Multiple certificates detected"
	badCertificate      = "Invalid certificate"
	badSignature        = "Signature is invalid"
	otherPrescription   = "Signature doesn't match prescription"
	revoked             = "Certificate is revoked"
	issuerRevoked       = "CA certificate is revoked"
	outOfTime           = "Certificate expired when signed"
	untrusted           = "Certificate not trusted"
)

// Verify applies EPS's checks to the requester's signature in a signed bundle (EPS-4.4). It returns no issues if all checks
// pass. Callers run Check first.
func Verify(ctx context.Context, b *Bundle, judge Judge) []Issue {
	requests := resources[medicationRequest](b)
	if len(requests) == 0 {
		return []Issue{invalidIssue(badFormat)}
	}
	signed := requesterSignature(b, requests[0].Requester)
	if signed == nil {
		return []Issue{invalidIssue(badFormat)}
	}
	element, err := readSignature(signed.Data)
	if err != nil || !element.complete() {
		return []Issue{invalidIssue(badFormat)}
	}
	leaf, problem := element.certificate()
	if problem != "" {
		return []Issue{invalidIssue(problem)}
	}
	p, refusal := Translate(b, time.Time{})
	if refusal != nil {
		return []Issue{refusal.Issue()}
	}
	var issues []Issue
	if !element.verifies(leaf) {
		issues = append(issues, invalidIssue(badSignature))
	}
	if !prepares(element.info, p.Fragments()) {
		issues = append(issues, invalidIssue(otherPrescription))
	}
	for _, problem := range judged(judge(ctx, leaf, p.Signed)) {
		issues = append(issues, invalidIssue(problem))
	}
	return issues
}

// certificate returns the signer's certificate, or the text of what is wrong with it.
func (s *signatureElement) certificate() (leaf *x509.Certificate, problem string) {
	if len(s.certificates) > 1 || strings.Contains(s.certificates[0], "-----") {
		return nil, severalCertificates
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s.certificates[0]), ""))
	if err != nil {
		return nil, badCertificate
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		return nil, badCertificate
	}
	return leaf, ""
}

func (s *signatureElement) verifies(leaf *x509.Certificate) bool {
	algorithm, ok := algorithmOf(s.info)
	if key, isRSA := leaf.PublicKey.(*rsa.PublicKey); !ok || !isRSA || key.N.BitLen() > certificates.MaxKeyBits {
		return false
	}
	value, err := base64.StdEncoding.DecodeString(s.value)
	return err == nil && client.VerifyPayload(algorithm, leaf, s.info, value) == nil
}

// judged returns the texts for the faults that a Judge found, in the order of the contract.
func judged(codes []certificates.Code) []string {
	found := map[string]bool{}
	for _, code := range codes {
		switch code {
		case certificates.Revoked:
			found[revoked] = true
		case certificates.IssuerRevoked:
			found[issuerRevoked] = true
		case certificates.Expired, certificates.NotYetValid:
			found[outOfTime] = true
		default:
			found[untrusted] = true
		}
	}
	return slices.DeleteFunc([]string{revoked, issuerRevoked, outOfTime, untrusted}, func(text string) bool { return !found[text] })
}
