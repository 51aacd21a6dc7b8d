package client

import (
	"crypto"
	"crypto/rsa"
	_ "crypto/sha1" // the specification names RS1; used for payload signatures only
	_ "crypto/sha256"
	"fmt"
	"slices"
)

// The signature algorithms of a payload (SIG-1.8).
const (
	RS1   = "RS1"   // RSASSA-PKCS1-v1_5 with SHA-1
	RS256 = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	PS256 = "PS256" // RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes
)

const (
	xmldsig       = "http://www.w3.org/2000/09/xmldsig#"
	excC14N       = "http://www.w3.org/2001/10/xml-exc-c14n#"
	digestSHA1    = xmldsig + "sha1"
	digestSHA256  = "http://www.w3.org/2001/04/xmlenc#sha256"
	methodRSASHA1 = xmldsig + "rsa-sha1"
	methodRSA256  = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	methodPSS256  = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
)

// algorithm is one of the constants above with its properties.
type algorithm struct {
	name            string
	hash            crypto.Hash
	pss             bool
	signatureMethod string
	digestMethod    string
}

func algorithms() [3]algorithm {
	return [...]algorithm{
		{RS256, crypto.SHA256, false, methodRSA256, digestSHA256},
		{RS1, crypto.SHA1, false, methodRSASHA1, digestSHA1},
		{PS256, crypto.SHA256, true, methodPSS256, digestSHA256},
	}
}

func algorithmNamed(name string) (algorithm, error) {
	all := algorithms()
	i := slices.IndexFunc(all[:], func(a algorithm) bool { return a.name == name })
	if i < 0 {
		return algorithm{}, fmt.Errorf("unknown algorithm %.16q: use RS256, RS1 or PS256", name)
	}
	return all[i], nil
}

func (a algorithm) digest(data []byte) []byte {
	h := a.hash.New()
	h.Write(data)
	return h.Sum(nil)
}

// verify verifies a signature over the bytes of a payload, unmodified.
func (a algorithm) verify(key *rsa.PublicKey, payload, signature []byte) error {
	if a.pss {
		return rsa.VerifyPSS(key, a.hash, a.digest(payload), signature,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	return rsa.VerifyPKCS1v15(key, a.hash, a.digest(payload), signature)
}
