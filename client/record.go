package client

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// recordFormat identifies the format of a Record.
const recordFormat = "countersign-signatures/1"

// Record is an answer of the Signing Service together with its request: everything needed to verify it again without the
// service. It contains a user id and what was signed, but no credentials.
type Record struct {
	Format    string    `json:"format"`
	Service   string    `json:"service"` // the service's base URL
	Client    string    `json:"client"`
	Sub       string    `json:"sub"` // who was asked to sign
	Algorithm string    `json:"algorithm"`
	Requested time.Time `json:"requested"`
	Received  time.Time `json:"received"`
	Payloads  []Payload `json:"payloads"`
	Response  Response  `json:"response"`
}

// Marshal encodes the record as a file.
func (r Record) Marshal() ([]byte, error) {
	r.Format = recordFormat
	return json.Marshal(r, jsontext.WithIndent("  "), jsontext.EscapeForHTML(false))
}

// ParseRecord parses a record file.
func ParseRecord(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, errors.New("not a file of saved signatures: malformed JSON")
	}
	if r.Format != recordFormat {
		return Record{}, fmt.Errorf("not a file of saved signatures: format is %.40q, want %q", r.Format, recordFormat)
	}
	return r, nil
}

// CheckOptions configures the checks of a record's certificate.
type CheckOptions struct {
	Issuers []*x509.Certificate // accepted issuers; none: the chain is not checked
	AnyUser bool                // accept the certificate of a person other than the one who was asked
}

// Report is the result of checking a record.
type Report struct {
	Results     []Result          // one per payload, in order; none if nothing could be verified
	Certificate *x509.Certificate // nil if it cannot be parsed
	Problems    []string          // the checks that failed; none: all passed
}

// Check verifies a record offline: every signature, the ids and their order, and the certificate: its owner, its validity
// when the signatures were received and, if issuers are given, that one of them issued it. Revocation is not
// checked.
func (r Record) Check(o CheckOptions) Report {
	var report Report
	var err error
	if report.Results, err = Verify(r.Algorithm, r.Payloads, r.Response); err != nil {
		report.Problems = append(report.Problems, err.Error())
	}
	if report.Certificate, err = r.Response.Leaf(); err != nil {
		return report
	}
	leaf := report.Certificate
	if owner, _, _ := strings.Cut(leaf.Subject.CommonName, "_"); owner != r.Sub && !o.AnyUser {
		report.Problems = append(report.Problems, fmt.Sprintf(
			"certificate is not that of %s, who was asked to sign: its CN is %.64q", r.Sub, leaf.Subject.CommonName))
	}
	if r.Received.Before(leaf.NotBefore) || r.Received.After(leaf.NotAfter) {
		report.Problems = append(report.Problems, fmt.Sprintf(
			"certificate was not valid when the signatures were received, %s: it is valid from %s to %s",
			day(r.Received), day(leaf.NotBefore), day(leaf.NotAfter)))
	}
	if leaf.IsCA {
		report.Problems = append(report.Problems, "certificate is that of an authority, not of a person")
	}
	if len(o.Issuers) > 0 {
		if err := issued(leaf, o.Issuers, r.Received); err != nil {
			report.Problems = append(report.Problems, "certificate was not issued by one of the issuers given: "+err.Error())
		}
	}
	return report
}

// issued verifies that one of the issuers signed the certificate. If the certificate is not valid at that time, which is
// reported separately, its issuer is checked at the nearest time of its validity.
func issued(leaf *x509.Certificate, issuers []*x509.Certificate, at time.Time) error {
	roots := x509.NewCertPool()
	for _, issuer := range issuers {
		roots.AddCert(issuer)
	}
	switch {
	case at.Before(leaf.NotBefore):
		at = leaf.NotBefore
	case at.After(leaf.NotAfter):
		at = leaf.NotAfter
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// NewPayload returns a payload with these bytes.
func NewPayload(id string, data []byte) Payload {
	return Payload{ID: id, Payload: base64.StdEncoding.EncodeToString(data)}
}
