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

// ErrSigned is returned for bundles that already have a signature of their requester.
var ErrSigned = errors.New("bundle is signed already")

// Signed reports whether the bundle has a signature of its requester, valid or not.
func (b *Bundle) Signed() bool {
	requests := resources[medicationRequest](b)
	return len(requests) > 0 && requesterSignature(b, requests[0].Requester) != nil
}

// Complete returns the bundle with a Provenance that holds the signature (EPS-4.1). All other bytes stay the same. The
// signature must verify, and must be of what was prepared from this bundle. The certificate's issuer is not checked.
func Complete(b *Bundle, prepared Prepared, signed []byte, certificate *x509.Certificate) ([]byte, error) {
	requests := resources[medicationRequest](b)
	if len(requests) == 0 || b.entriesEnd == 0 {
		return nil, errors.New("bundle has no MedicationRequest to sign")
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
		return nil, errors.New("bundle differs from the one that was prepared")
	}
	if err := client.VerifyPayload(prepared.Algorithm, certificate, prepared.SignedInfo, signed); err != nil {
		return nil, fmt.Errorf("signature does not verify: %w", err)
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

// newProvenanceEntry derives its id from the signature, so the same signature always gives the same bundle.
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
