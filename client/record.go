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

// recordFormat names the shape of a Record, so that a later one can be told apart.
const recordFormat = "countersign-signatures/1"

// Record is an answer of the Signing Service together with what was asked: everything that is needed to verify
// it again, without the service. It holds a user id and what was signed, but nothing that lets anybody in.
type Record struct {
	Format    string    `json:"format"`
	Service   string    `json:"service"` // its base URL
	Client    string    `json:"client"`
	Sub       string    `json:"sub"` // who was asked to sign
	Algorithm string    `json:"algorithm"`
	Requested time.Time `json:"requested"`
	Received  time.Time `json:"received"`
	Payloads  []Payload `json:"payloads"`
	Response  Response  `json:"response"`
}

// Marshal makes the record's file.
func (r Record) Marshal() ([]byte, error) {
	r.Format = recordFormat
	return json.Marshal(r, jsontext.WithIndent("  "), jsontext.EscapeForHTML(false))
}

// ParseRecord reads a record's file.
func ParseRecord(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, errors.New("this is not a file of saved signatures: it cannot be read as JSON")
	}
	if r.Format != recordFormat {
		return Record{}, fmt.Errorf("this is not a file of saved signatures: its format is %.40q and should be %q", r.Format, recordFormat)
	}
	return r, nil
}

// CheckOptions say what a record's certificate is held to.
type CheckOptions struct {
	Issuers []*x509.Certificate // who may have issued it; none: its chain is not looked at
	AnyUser bool                // it may be another person's than the one who was asked
}

// Report is what there is to say of a record.
type Report struct {
	Results     []Result          // one for each payload, in order; none where nothing could be verified
	Certificate *x509.Certificate // nil where it cannot be read
	Problems    []string          // what does not hold; none: everything does
}

// Check verifies a record offline: every signature, the ids and their order, and the certificate: whose it is,
// whether it was valid when the signatures were received, and, if issuers are given, that one of them issued it.
// Revocation is not looked at.
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
			"the certificate is not that of %s, who was asked to sign: its CN is %.64q", r.Sub, leaf.Subject.CommonName))
	}
	if r.Received.Before(leaf.NotBefore) || r.Received.After(leaf.NotAfter) {
		report.Problems = append(report.Problems, fmt.Sprintf(
			"the certificate was not valid when the signatures were received, %s: it is valid from %s to %s",
			day(r.Received), day(leaf.NotBefore), day(leaf.NotAfter)))
	}
	if leaf.IsCA {
		report.Problems = append(report.Problems, "the certificate is that of an authority, not of a person")
	}
	if len(o.Issuers) > 0 {
		if err := issued(leaf, o.Issuers, r.Received); err != nil {
			report.Problems = append(report.Problems, "the certificate was not issued by one of the issuers given: "+err.Error())
		}
	}
	return report
}

// issued checks that one of the issuers signed the certificate. When that is out of time, which is told apart, its
// issuer is looked at in the nearest moment of its own validity.
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

// NewPayload is a payload of some bytes.
func NewPayload(id string, data []byte) Payload {
	return Payload{ID: id, Payload: base64.StdEncoding.EncodeToString(data)}
}
