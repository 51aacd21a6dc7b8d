package prescription

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
)

// ErrSigned is the refusal to sign a bundle that its requester has signed.
var ErrSigned = errors.New("the bundle is signed already")

// Signed tells whether the first request's requester has signed the bundle, well or not.
func (b *Bundle) Signed() bool {
	requests := resources[medicationRequest](b)
	return len(requests) > 0 && requesterSignature(b, requests[0].Requester) != nil
}

// Complete appends the Provenance with a signature to a bundle (EPS-4.1), and leaves every other byte as it was. The
// signature must be over what was prepared from this very bundle; it is verified, but whose certificate it is, is not
// looked at.
func Complete(b *Bundle, prepared Prepared, signed []byte, certificate *x509.Certificate) ([]byte, error) {
	requests := resources[medicationRequest](b)
	if len(requests) == 0 || b.entriesEnd == 0 {
		return nil, errors.New("the bundle has no MedicationRequest to sign")
	}
	requester := requests[0].Requester
	if b.Signed() {
		return nil, ErrSigned
	}
	p, refusal := Translate(b, prepared.Timestamp)
	if refusal != nil {
		return nil, refusal
	}
	if !bytes.Equal(p.Fragments(), prepared.Fragments) {
		return nil, errors.New("another prescription was prepared than the one in the bundle")
	}
	if err := client.VerifyPayload(prepared.Algorithm, certificate, prepared.SignedInfo, signed); err != nil {
		return nil, fmt.Errorf("the signature does not verify: %w", err)
	}
	element := signatureElement{
		info: prepared.SignedInfo, value: base64.StdEncoding.EncodeToString(signed),
		certificates: []string{base64.StdEncoding.EncodeToString(certificate.Raw)},
	}
	appended, err := marshal(newProvenanceEntry(b, requester.Reference, prepared.Timestamp.Format(TimestampFormat), element.element()))
	if err != nil {
		return nil, err
	}
	return slices.Concat(b.source[:b.entriesEnd], []byte(","), appended, b.source[b.entriesEnd:]), nil
}

type provenanceEntry struct {
	FullURL  string `json:"fullUrl"`
	Resource struct {
		Type      string            `json:"resourceType"`
		ID        string            `json:"id"`
		Target    []link            `json:"target"`
		Recorded  string            `json:"recorded"`
		Agent     []provenanceAgent `json:"agent"`
		Signature []signedBy        `json:"signature"`
	} `json:"resource"`
}

type provenanceAgent struct {
	Who link `json:"who"`
}

type link struct {
	Reference string `json:"reference"`
}

type signedBy struct {
	Type []signatureType `json:"type"`
	When string          `json:"when"`
	Who  link            `json:"who"`
	Data string          `json:"data"`
}

type signatureType struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

// newProvenanceEntry has an id that follows from the signature, so that the same signature makes the same bundle.
func newProvenanceEntry(b *Bundle, requester, timestamp string, element []byte) provenanceEntry {
	var e provenanceEntry
	id := uuid.NewSHA1(uuid.NameSpaceURL, element).String()
	e.FullURL = "urn:uuid:" + id
	e.Resource.Type, e.Resource.ID, e.Resource.Recorded = "Provenance", id, timestamp
	for _, entry := range b.entries {
		if _, ok := entry.value.(*medicationRequest); ok {
			e.Resource.Target = append(e.Resource.Target, link{entry.fullURL})
		}
	}
	e.Resource.Agent = []provenanceAgent{{link{requester}}}
	e.Resource.Signature = []signedBy{{
		Type: []signatureType{{"urn:iso-astm:E1762-95:2013", "1.2.840.10065.1.12.1.1"}},
		When: timestamp, Who: link{requester}, Data: base64.StdEncoding.EncodeToString(element),
	}}
	return e
}
