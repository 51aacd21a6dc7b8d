package certificates

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"strings"

	"github.com/seed-dd2befc3/countersign/roca"
)

// holder decides whether a certificate is for signing, has an accepted key and is the user's own. digitalSignature is not
// required: many cards have only nonRepudiation (SIG-5.5).
func (p Policy) holder(leaf *x509.Certificate, user string) (*rsa.PublicKey, *Refusal) {
	if leaf.IsCA {
		return nil, refuse(NotForSigning, "certificate is that of an authority")
	}
	const signs = x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature
	if leaf.KeyUsage != 0 && leaf.KeyUsage&signs == 0 {
		return nil, refuse(NotForSigning, "key usage has neither nonRepudiation nor digitalSignature")
	}
	least := p.MinBits
	if least <= 0 {
		least = DefaultMinBits
	}
	key, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	switch {
	case !isRSA:
		return nil, refuse(KeyRefused, "key is not RSA")
	case key.N.BitLen() < least || key.N.BitLen() > MaxKeyBits:
		return nil, refuse(KeyRefused, "key has %d bits, want %d to %d", key.N.BitLen(), least, MaxKeyBits)
	case roca.Weak(key.N):
		return nil, refuse(KeyRefused, "%s", roca.ErrWeak)
	case !p.AnyUser:
		return key, bound(leaf, user)
	}
	return key, nil
}

// bound compares the one CN of a certificate's subject, up to its first underscore, with a user's id.
func bound(leaf *x509.Certificate, user string) *Refusal {
	names := 0
	for _, attribute := range leaf.Subject.Names {
		if attribute.Type.Equal(asn1.ObjectIdentifier{2, 5, 4, 3}) {
			names++
		}
	}
	if names > 1 {
		return refuse(OtherUser, "certificate's subject has %d CNs, so its owner is ambiguous", names)
	}
	owner, _, _ := strings.Cut(leaf.Subject.CommonName, "_")
	if owner != user || !twelveDigits(owner) {
		return refuse(OtherUser, "certificate's CN begins with another user id than the request's sub")
	}
	return nil
}

func twelveDigits(text string) bool {
	return len(text) == 12 && strings.Trim(text, "0123456789") == ""
}
