package certificates

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"strings"

	"github.com/seed-dd2befc3/countersign/roca"
)

// holder decides whether a certificate is for signing, of an accepted key, and the user's own. digitalSignature is
// not demanded: nonRepudiation alone is what many cards have (SIG-5.5).
func (p Policy) holder(leaf *x509.Certificate, user string) (*rsa.PublicKey, *Refusal) {
	if leaf.IsCA {
		return nil, refuse(NotForSigning, "it is the certificate of an authority")
	}
	const signs = x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature
	if leaf.KeyUsage != 0 && leaf.KeyUsage&signs == 0 {
		return nil, refuse(NotForSigning, "its key usage has neither nonRepudiation nor digitalSignature")
	}
	least := p.MinBits
	if least <= 0 {
		least = DefaultMinBits
	}
	key, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	switch {
	case !isRSA:
		return nil, refuse(KeyRefused, "the key is not RSA")
	case key.N.BitLen() < least || key.N.BitLen() > MaxKeyBits:
		return nil, refuse(KeyRefused, "the key has %d bits; accepted are %d to %d", key.N.BitLen(), least, MaxKeyBits)
	case roca.Weak(key.N):
		return nil, refuse(KeyRefused, "%s", roca.ErrWeak)
	case !p.AnyUser:
		return key, bound(leaf, user)
	}
	return key, nil
}

// bound holds the one CN of a certificate's subject, up to its first underscore, against a user's id.
func bound(leaf *x509.Certificate, user string) *Refusal {
	names := 0
	for _, attribute := range leaf.Subject.Names {
		if attribute.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
			names++
		}
	}
	if names > 1 {
		return refuse(OtherUser, "the certificate's subject has %d CNs, so it does not say whose it is", names)
	}
	owner, _, _ := strings.Cut(leaf.Subject.CommonName, "_")
	if owner != user || !twelveDigits(owner) {
		return refuse(OtherUser, "the certificate's CN begins with another user id than the request's sub")
	}
	return nil
}

func twelveDigits(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}
