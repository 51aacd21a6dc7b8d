package gateway

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// xmlNames are the identifiers of XML Signature for one signature algorithm.
type xmlNames struct{ signature, digest string }

var xmlAlgorithms = map[string]xmlNames{
	"RS1":   {"http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#sha1"},
	"RS256": {"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmlenc#sha256"},
	"PS256": {"http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1", "http://www.w3.org/2001/04/xmlenc#sha256"},
}

// SignedInfo is the canonical form of a SignedInfo element over content that is canonical itself. uri is the
// Reference's URI; empty for a Reference without one, as the prescribing systems send it.
func SignedInfo(algorithm, uri string, content []byte) []byte {
	names := xmlAlgorithms[algorithm]
	var digest []byte
	if algorithm == "RS1" {
		sum := sha1.Sum(content)
		digest = sum[:]
	} else {
		sum := sha256.Sum256(content)
		digest = sum[:]
	}
	if uri != "" {
		uri = ` URI="` + uri + `"`
	}
	return fmt.Appendf(nil, `<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#">`+
		`<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></CanonicalizationMethod>`+
		`<SignatureMethod Algorithm="%s"></SignatureMethod>`+
		`<Reference%s><Transforms><Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"></Transform></Transforms>`+
		`<DigestMethod Algorithm="%s"></DigestMethod><DigestValue>%s</DigestValue></Reference></SignedInfo>`,
		names.signature, uri, names.digest, base64.StdEncoding.EncodeToString(digest))
}

// Document is an XML document of which one element is to be signed, referred to by its Id.
type Document struct {
	ID         string // of the element
	content    string // the element, canonical
	SignedInfo []byte // canonical: the payload of a signing request
}

// NewDocument is a small prescription, with an id of its own, to be signed with the algorithm.
func NewDocument(algorithm, id string) Document {
	content := `<rx:Prescription xmlns:rx="urn:example:prescription" Id="` + id + `"><rx:Line>Amoxicillin 500mg capsules, 21</rx:Line></rx:Prescription>`
	return Document{ID: id, content: content, SignedInfo: SignedInfo(algorithm, "#"+id, []byte(content))}
}

// Signed is the whole document with a base64 signature in its place.
func (d Document) Signed(signature string) []byte {
	return []byte(`<Bundle>` + d.content + `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">` + string(d.SignedInfo) +
		`<SignatureValue>` + signature + `</SignatureValue></Signature></Bundle>`)
}
