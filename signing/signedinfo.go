package signing

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
)

// Signature algorithms of payloads, by the names a request uses, and the SignatureMethod each has in XML.
const (
	RS1   = "RS1"   // RSASSA-PKCS1-v1_5 with SHA-1, for payloads only
	RS256 = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	PS256 = "PS256" // RSASSA-PSS with SHA-256 and MGF1
)

var signatureMethods = map[string]string{
	"http://www.w3.org/2000/09/xmldsig#rsa-sha1":             RS1,
	"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256":      RS256,
	"http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1": PS256,
}

// methodOf returns the SignatureMethod that a payload names, if it is a SignedInfo that names one. Payloads
// are canonical XML, in which an attribute has one way to be written, so the bytes can be searched; what is
// not canonical names nothing and is signed as the request says.
func methodOf(payload []byte) (uri string, found bool) {
	rest, ok := after(payload, "SignatureMethod Algorithm=\"")
	if !ok {
		return "", false
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return "", false
	}
	return string(rest[:end]), true
}

// digestOf returns what a person can compare of a payload: the SignedInfo's own DigestValue, or else the
// payload's SHA-256, in base64.
func digestOf(payload []byte) string {
	if rest, ok := after(payload, "DigestValue>"); ok {
		if end := bytes.IndexByte(rest, '<'); end > 0 && end <= 128 {
			if _, err := base64.StdEncoding.DecodeString(string(rest[:end])); err == nil {
				return string(rest[:end])
			}
		}
	}
	sum := sha256.Sum256(payload)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func after(text []byte, mark string) ([]byte, bool) {
	_, rest, found := bytes.Cut(text, []byte(mark))
	return rest, found
}
