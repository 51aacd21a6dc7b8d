package client

import (
	"encoding/base64"
	"strings"
)

// SignedInfo returns the payload for one document: the canonical SignedInfo element (Exclusive XML Canonicalization 1.0)
// with the document's digest. The document must already be in canonical form, because its bytes are digested as they are.
// The payload is 517 bytes long with SHA-1 and 541 with SHA-256; PS256 adds 5 bytes to the method's name. The digest is
// returned in base64, as in the element. Source: SIG-2.10, SIG-2.11; XML Signature Syntax and Processing §4.4.
func SignedInfo(algorithm string, document []byte) (payload []byte, digest string, err error) {
	return signedInfo(algorithm, document, "<Reference>")
}

// SignedInfoFor is SignedInfo with a Reference that locates the document: uri is "" for the whole document that contains
// the signature, "#id" for an element of it. Generic XML signature verifiers need that; the Electronic Prescription
// Service omits it.
func SignedInfoFor(algorithm string, document []byte, uri string) (payload []byte, digest string, err error) {
	return signedInfo(algorithm, document, `<Reference URI="`+EscapeAttribute(uri)+`">`)
}

// Canonical XML: no declaration, no white space of our own, always end tags, and only the five escapes of attribute
// values.
const (
	infoOpen        = `<SignedInfo xmlns="` + xmldsig + `"><CanonicalizationMethod Algorithm="`
	infoMethod      = `"></CanonicalizationMethod><SignatureMethod Algorithm="`
	infoReference   = `"></SignatureMethod>`
	infoTransforms  = `<Transforms>`
	infoTransform   = `<Transform Algorithm="` + excC14N + `"></Transform>`
	infoDigest      = `</Transforms><DigestMethod Algorithm="`
	infoDigestValue = `"></DigestMethod><DigestValue>`
	infoClose       = `</DigestValue></Reference></SignedInfo>`
)

func signedInfo(name string, document []byte, reference string) ([]byte, string, error) {
	a, err := algorithmNamed(name)
	if err != nil {
		return nil, "", err
	}
	digest := base64.StdEncoding.EncodeToString(a.digest(document))
	return []byte(infoOpen + excC14N + infoMethod + a.signatureMethod + infoReference + reference +
		infoTransforms + infoTransform + infoDigest + a.digestMethod + infoDigestValue + digest + infoClose), digest, nil
}

// EscapeAttribute escapes an attribute value as canonical XML does (Canonical XML 1.0 §2.3), for callers that build a
// document to be digested.
func EscapeAttribute(value string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;").
		Replace(value)
}

// ParseSignedInfo parses a payload that is a canonical SignedInfo element with one Reference; ok is false for anything
// else. algorithm is RS1, RS256 or PS256, or the element's method URI if it is another; digest is the DigestValue in
// base64. The canonicalization, the transforms and the URI are not checked.
func ParseSignedInfo(payload []byte) (algorithm, digest string, ok bool) {
	rest, ok := strings.CutPrefix(string(payload), infoOpen)
	if !ok {
		return "", "", false
	}
	canonicalization, rest, ok1 := strings.Cut(rest, infoMethod)
	method, rest, ok2 := strings.Cut(rest, infoReference)
	reference, rest, ok3 := strings.Cut(rest, infoTransforms)
	transforms, rest, ok4 := strings.Cut(rest, infoDigest)
	digestMethod, rest, ok5 := strings.Cut(rest, infoDigestValue)
	digest, ok6 := strings.CutSuffix(rest, infoClose)
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || !ok6 ||
		!plain(canonicalization) || !plain(method) || !plain(digestMethod) ||
		!isReference(reference) || strings.Contains(transforms, "Digest") || !isDigest(digestMethod, digest) {
		return "", "", false
	}
	for _, a := range algorithms() {
		if a.signatureMethod == method {
			return a.name, digest, true
		}
	}
	return method, digest, true
}

// plain reports whether a value cannot leave the attribute that holds it.
func plain(value string) bool {
	return value != "" && !strings.ContainsAny(value, `<>"`)
}

// isReference reports whether tag is the start tag of a Reference, with any attributes.
func isReference(tag string) bool {
	attributes, ok := strings.CutPrefix(tag, "<Reference")
	if !ok {
		return false
	}
	attributes, ok = strings.CutSuffix(attributes, ">")
	return ok && (attributes == "" || attributes[0] == ' ') && !strings.ContainsAny(attributes, "<>")
}

func isDigest(method, digest string) bool {
	raw, err := decode(digest)
	if err != nil || len(raw) == 0 {
		return false
	}
	for _, a := range algorithms() {
		if a.digestMethod == method {
			return len(raw) == a.hash.Size()
		}
	}
	return true
}
