package command

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/prescription"
)

const signedAt = "2026-11-30T12:00:00Z"

// epsBundle is the file of a recorded prescription.
func epsBundle(name string) string {
	return filepath.Join("..", "..", "prescription", "testdata", "eps", "bundles", name+".json")
}

// signer is an authority with one card.
type signer struct {
	dir       string
	key       *rsa.PrivateKey
	authority *x509.Certificate
	card      *x509.Certificate
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	s := &signer{dir: t.TempDir()}
	var err error
	if s.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, signedAt)
	if err != nil {
		t.Fatal(err)
	}
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Level 1D"}, NotBefore: at.AddDate(-1, 0, 0), NotAfter: at.AddDate(9, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
	}
	s.authority = s.issue(t, authority, authority)
	s.card = s.issue(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "card"}, NotBefore: at.AddDate(0, -1, 0), NotAfter: at.AddDate(0, 1, 0),
	}, s.authority)
	return s
}

func (s *signer) issue(t *testing.T, template, parent *x509.Certificate) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, s.key.Public(), s.key)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func (s *signer) write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// issuer is the authority's certificate in a file.
func (s *signer) issuer(t *testing.T) string {
	t.Helper()
	return s.write(t, "issuer.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.authority.Raw}))
}

// response is an answer of the Signing Service for a bundle, in a file.
func (s *signer) response(t *testing.T, bundle, algorithm string) string {
	t.Helper()
	_, prepared, outcome, err := prepareFile(bundle, algorithm, mustMoment(t, signedAt))
	if err != nil || outcome != nil {
		t.Fatal(err, outcome)
	}
	hash := map[string]crypto.Hash{client.RS1: crypto.SHA1, client.RS256: crypto.SHA256}[algorithm]
	digest := hash.New()
	digest.Write(prepared.SignedInfo)
	signature, err := rsa.SignPKCS1v15(nil, s.key, hash, digest.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(client.Response{
		Signatures:  []client.Signature{{ID: "another", Signature: "AAAA"}, {ID: "x", Signature: base64.StdEncoding.EncodeToString(signature)}},
		Certificate: base64.StdEncoding.EncodeToString(s.card.Raw),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.write(t, "response.json", data)
}

func mustMoment(t *testing.T, at string) time.Time {
	t.Helper()
	moment, err := (&preparation{at: at}).moment()
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// TestPrescriptionDigest: one line for each file, in its order.
func TestPrescriptionDigest(t *testing.T) {
	got := execute(t, prescriptionDigestCommand(), "--at", signedAt, "--algorithm", "RS1", epsBundle("acute-one-item"), epsBundle("error-gender"), epsBundle("note"))
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	if got.err == nil || len(lines) != 3 || got.stderr != "" {
		t.Fatalf("got %+v, want three lines and an error", got)
	}
	for i, part := range []string{`"resourceType":"Parameters"`, `"resourceType":"OperationOutcome"`, `"resourceType":"Parameters"`} {
		if !strings.Contains(lines[i], part) {
			t.Errorf("line %d: got %s, want %s in it", i+1, lines[i], part)
		}
	}
	mustSay(t, lines[0], `"valueString":"2026-11-30T12:00:00+00:00"`, `"valueString":"RS1"`)
	if got := execute(t, prescriptionDigestCommand(), epsBundle("note")); got.err != nil {
		t.Errorf("got %v without a time, want a digest of now", got.err)
	}
	for want, args := range map[string][]string{
		"write it as 2026-11-30T12:00:00Z": {"--at", "noon", epsBundle("note")},
		"EPS knows RS256 and RS1":          {"--algorithm", "PS256", epsBundle("note")},
		"no such file":                     {epsBundle("missing")},
	} {
		if got := execute(t, prescriptionDigestCommand(), args...); got.err == nil || !strings.Contains(got.err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, got.err, want)
		}
	}
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"resourceType": "Bundle", "resourceType": "Bundle"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got = execute(t, prescriptionDigestCommand(), broken)
	mustSay(t, got.stdout, `{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"structure","diagnostics":"The request cannot be read: `)
}

// TestPrescriptionShow: everything that is signed is there to be read.
func TestPrescriptionShow(t *testing.T) {
	got := execute(t, prescriptionShowCommand(), "--at", signedAt, epsBundle("acute-one-item"), epsBundle("controlled-drug-and-note"), epsBundle("repeat-dispensing"),
		epsBundle("communication-list-and-text"), epsBundle("endorsements"), epsBundle("telecom-spelling"))
	if got.err != nil {
		t.Fatal(got.err)
	}
	mustSay(t, got.stdout,
		"Prescription   E8DB03A7-2577-4EBE-8EF2-5457E78190B6", "Signed at      2026-11-30 12:00:00 UTC",
		"ASHDOWN, Marged (Mrs)  Born 09-Mar-1957  Gender Female  NHS No. 999 000 0018", "Mrs Marged Eluned Ashdown (L)",
		"3 Weaver's Row, Lower Mill, Hebden, West Yorkshire, HX7 0AA (H)", "Practice     B99999",
		"Item 1         Ramipril 5mg capsules  SNOMED 319740004", "Dosage       Take one each morning", "Quantity     28 capsule  SNOMED 428641000",
		"Prescriber     Dr Tamsin Okonjo  7654321", "S0030:G0100:R0570  555000111222", "tel:01614960000 (WP)",
		"Organisation   WEAVERS GREEN SURGERY  X26000", "Part of      NORTH PENNINE ICB  84H",
		"In words     three hundred", "Instructions CD: three hundred\n               Dispense weekly",
		"Repeat       up to 6 issues", "Takes        Senna 7.5mg tablets", "To patient   Book a review & bring this slip",
		"Endorsed     ACBS, CC, FS", "tel:+44[U+200B]123 (WP)",
		"6 prescriptions, 9 items, 1 patient.", "nominated pharmacy")
	var all []prescription.Prescription
	as := execute(t, prescriptionShowCommand(), "--json", "--at", signedAt, epsBundle("acute-one-item"))
	if as.json(t, &all); len(all) != 1 || all[0].Items[0].Drug.Name != "Ramipril 5mg capsules" || all[0].Patient.NHSNumber != "9990000018" {
		t.Errorf("got %s", as.stdout)
	}
	if got := execute(t, prescriptionShowCommand(), epsBundle("refused-several")); got.err == nil || got.stdout != "" {
		t.Errorf("got %+v for a refused bundle, want an error alone", got)
	} else {
		mustSay(t, got.err.Error(), "refused-several.json cannot be prepared:", "MedicationRequest.status must be active.")
	}
}

// TestPrescriptionCompleteAndVerify: from a signature to what EPS says of the signed bundle.
func TestPrescriptionCompleteAndVerify(t *testing.T) {
	s := newSigner(t)
	issuer := s.issuer(t)
	for _, algorithm := range []string{client.RS256, client.RS1} {
		response := s.response(t, epsBundle("four-items"), algorithm)
		got := execute(t, prescriptionCompleteCommand(), epsBundle("four-items"), "--signatures", response, "--at", signedAt)
		if got.err != nil {
			t.Fatal(got.err)
		}
		signed := s.write(t, "signed.json", []byte(got.stdout))
		if got := execute(t, prescriptionVerifyCommand(), signed, "--issuer", issuer); got.err != nil || got.stdout != "Everything holds.\n" {
			t.Errorf("%s: got %+v, want everything to hold", algorithm, got)
		}
		tampered := s.write(t, "tampered.json", []byte(strings.Replace(got.stdout, "Ashdown", "Ashdowne", 1)))
		if got := execute(t, prescriptionVerifyCommand(), tampered, "--issuer", issuer); got.err == nil || got.stdout != "Signature doesn't match prescription\n" {
			t.Errorf("%s: got %+v of a tampered bundle", algorithm, got)
		}
		again := execute(t, prescriptionCompleteCommand(), signed, "--signatures", response, "--at", signedAt)
		if again.err == nil || !strings.Contains(again.err.Error(), "signed already") {
			t.Errorf("%s: got %v of a signed bundle, want a refusal", algorithm, again.err)
		}
	}
	signed := filepath.Join(s.dir, "signed.json")
	list := func(serial int64) string {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(serial), ThisUpdate: s.card.NotBefore, NextUpdate: s.card.NotAfter,
			RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(serial), RevocationTime: s.card.NotBefore}},
		}, s.authority, s.key)
		if err != nil {
			t.Fatal(err)
		}
		return s.write(t, "list.crl", der)
	}
	if got := execute(t, prescriptionVerifyCommand(), signed, "--issuer", issuer, "--crl", list(3)); got.err != nil {
		t.Errorf("got %+v with the list of another card, want everything to hold", got)
	}
	if got := execute(t, prescriptionVerifyCommand(), signed, "--issuer", issuer, "--crl", list(2)); got.err == nil || got.stdout != "Certificate is revoked\n" {
		t.Errorf("got %+v of a revoked card", got)
	}
	stranger := newSigner(t)
	got := execute(t, prescriptionVerifyCommand(), signed, "--issuer", stranger.issuer(t), "--json")
	var told struct {
		Holds  bool
		Issues []prescription.Issue
	}
	if got.json(t, &told); got.err == nil || told.Holds || len(told.Issues) != 1 || told.Issues[0].Diagnostics != "Certificate not trusted" {
		t.Errorf("got %+v with another issuer", got)
	}
	mustSay(t, execute(t, prescriptionVerifyCommand(), epsBundle("acute-one-item"), "--issuer", issuer).stdout, "Invalid signature format")
	mustSay(t, execute(t, prescriptionVerifyCommand(), epsBundle("gmp"), "--issuer", issuer).stdout, "Bundle resource Practitioner.identifier expected exactly one")
	mustSay(t, execute(t, prescriptionVerifyCommand(), epsBundle("error-gender"), "--issuer", issuer).stdout, "Invalid signature format")
}

// TestPrescriptionFlags: what is missing or wrong is said, with the file.
func TestPrescriptionFlags(t *testing.T) {
	s := newSigner(t)
	issuer, response := s.issuer(t), s.response(t, epsBundle("note"), client.RS256)
	signature := func(args ...string) []string {
		return append([]string{epsBundle("note"), "--at", signedAt, "--signatures"}, args...)
	}
	for _, c := range []struct {
		got  outcome
		want string
	}{
		{execute(t, prescriptionCompleteCommand(), epsBundle("note")), "required flag"},
		{execute(t, prescriptionCompleteCommand(), signature(epsBundle("missing"))...), "missing.json: no such file"},
		{execute(t, prescriptionCompleteCommand(), signature(epsBundle("note"))...), "neither an answer of a Signing Service nor"},
		{execute(t, prescriptionCompleteCommand(), epsBundle("note"), "--signatures", response, "--at", "2026-11-30T12:00:01Z"), "none of the signatures is over this bundle"},
		{execute(t, prescriptionCompleteCommand(), epsBundle("four-items"), "--signatures", response, "--at", signedAt), "none of the signatures is over this bundle"},
		{execute(t, prescriptionCompleteCommand(), epsBundle("gmp"), "--signatures", response, "--at", signedAt), "cannot be prepared"},
		{execute(t, prescriptionVerifyCommand(), epsBundle("note")), "required flag"},
		{execute(t, prescriptionVerifyCommand(), epsBundle("note"), "--issuer", epsBundle("note")), "no PEM certificate"},
		{execute(t, prescriptionVerifyCommand(), epsBundle("note"), "--issuer", issuer, "--crl", epsBundle("note")), "--crl"},
		{execute(t, prescriptionVerifyCommand(), epsBundle("missing"), "--issuer", issuer), "no such file"},
	} {
		if c.got.err == nil || !strings.Contains(c.got.err.Error(), c.want) {
			t.Errorf("got %v, want an error with %q", c.got.err, c.want)
		}
	}
}
