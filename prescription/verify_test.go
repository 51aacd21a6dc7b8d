package prescription

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/client"
)

// card is a key with its certificate.
type card struct {
	key         []byte // PEM
	certificate *x509.Certificate
}

var newCard = sync.OnceValues(func() (card, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return card{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "card"}, NotBefore: noon.AddDate(0, -1, 0), NotAfter: noon.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return card{}, err
	}
	certificate, err := x509.ParseCertificate(der)
	return card{pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), certificate}, err
})

func theCard(t testing.TB) card {
	t.Helper()
	c, err := newCard()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// sign signs with OpenSSL.
func (c card) sign(t testing.TB, prepared Prepared) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, c.key, 0o600); err != nil {
		t.Fatal(err)
	}
	sign := exec.Command("openssl", "dgst", map[string]string{client.RS1: "-sha1", client.RS256: "-sha256"}[prepared.Algorithm], "-sign", file)
	sign.Stdin = bytes.NewReader(prepared.SignedInfo)
	signed, err := sign.Output()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// signedBundle is a case signed with a card.
func signedBundle(t testing.TB, name, algorithm string) []byte {
	t.Helper()
	b := edited(t, name)
	prepared, outcome := Prepare(b, MayPrescribe, algorithm, noon)
	if outcome != nil {
		t.Fatal(outcome)
	}
	c := theCard(t)
	whole, err := Complete(b, prepared, c.sign(t, prepared), c.certificate)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func trusting(context.Context, *x509.Certificate, time.Time) []certificates.Code { return nil }

func texts(issues []Issue) []string {
	var found []string
	for _, issue := range issues {
		found = append(found, issue.Text())
	}
	return found
}

// TestComplete: a signature by OpenSSL is accepted, only the Provenance is added, and it is as the contract requires.
func TestComplete(t *testing.T) {
	for _, algorithm := range []string{client.RS1, client.RS256} {
		for _, name := range []string{base, "four-items", "communication-list-and-text", "xml-characters", "provenance-of-another"} {
			t.Run(algorithm+" "+name, func(t *testing.T) {
				source := loadTree(t, name)
				signed := signedBundle(t, name, algorithm)
				if issues := mustRead(t, signed).Check(MayPrescribe); len(issues) > 0 {
					t.Errorf("got issues %q for the signed bundle, want none", texts(issues))
				}
				if issues := Verify(context.Background(), mustRead(t, signed), trusting); len(issues) > 0 {
					t.Errorf("got issues %q, want none", texts(issues))
				}
				whole := parseTree(t, signed)
				entries := whole["entry"].([]any)
				added := entries[len(entries)-1].(map[string]any)
				whole["entry"] = entries[:len(entries)-1]
				if !bytes.Equal(whole.source(t), source.source(t)) {
					t.Error("something other than the Provenance was changed")
				}
				resource := added["resource"].(map[string]any)
				requests := resources[medicationRequest](mustRead(t, signed))
				if got := resource["target"].([]any); len(got) != len(requests) {
					t.Errorf("got %d targets, want %d", len(got), len(requests))
				}
				signature := resource["signature"].([]any)[0].(map[string]any)
				who := requests[0].Requester.Reference
				if signature["when"] != "2026-11-30T12:00:00+00:00" || signature["who"].(map[string]any)["reference"] != who || resource["recorded"] != signature["when"] ||
					resource["agent"].([]any)[0].(map[string]any)["who"].(map[string]any)["reference"] != who {
					t.Errorf("got Provenance %v", resource)
				}
			})
		}
	}
}

// TestCompleteIsExact: the bundle's own bytes stay, and the same signature gives the same bytes.
func TestCompleteIsExact(t *testing.T) {
	source := bytes.Replace(expected{Name: base}.source(t), []byte(`"value": 28,`), []byte(`"value": 2.80e+1, "x" : [ 1.0 ,"]\u005d" ] ,`), 1)
	b := mustRead(t, source)
	prepared := mustPrepare(t, source)
	c := theCard(t)
	signed, err := Complete(b, prepared, c.sign(t, prepared), c.certificate)
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.LastIndex(source, []byte("]"))
	if !bytes.HasPrefix(signed, source[:end]) || !bytes.HasSuffix(signed, source[end:]) {
		t.Error("the bundle's own bytes were changed")
	}
	again, err := Complete(b, prepared, c.sign(t, prepared), c.certificate)
	if err != nil || !bytes.Equal(again, signed) {
		t.Errorf("got other bytes the second time: %v", err)
	}
}

// TestNotCompleted: a bundle that would be refused is not completed.
func TestNotCompleted(t *testing.T) {
	b := edited(t, base)
	prepared, _ := Prepare(b, MayPrescribe, client.RS256, noon)
	c := theCard(t)
	signature := c.sign(t, prepared)
	other, _ := Prepare(edited(t, "four-items"), MayPrescribe, client.RS256, noon)
	later := prepared
	later.Timestamp = noon.Add(time.Second)
	for name, attempt := range map[string]struct {
		b         *Bundle
		prepared  Prepared
		signature []byte
		want      string
	}{
		"another prescription":   {b, other, c.sign(t, other), "differs from the one"},
		"another time":           {b, later, signature, "differs from the one"},
		"another signature":      {b, prepared, c.sign(t, other), "does not verify"},
		"no signature":           {b, prepared, nil, "does not verify"},
		"a bundle of nothing":    {mustRead(t, []byte(`{"resourceType": "Bundle"}`)), prepared, signature, "no MedicationRequest"},
		"a bundle signed before": {mustRead(t, signedBundle(t, base, client.RS256)), prepared, signature, ErrSigned.Error()},
	} {
		_, err := Complete(attempt.b, attempt.prepared, attempt.signature, c.certificate)
		if err == nil || !strings.Contains(err.Error(), attempt.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, attempt.want)
		}
		if name == "a bundle signed before" && !errors.Is(err, ErrSigned) {
			t.Errorf("got %v, want ErrSigned", err)
		}
	}
}

// TestVerify has every text of EPS about signatures, alone and combined.
func TestVerify(t *testing.T) {
	signed := signedBundle(t, "four-items", client.RS256)
	otherSigned := signedBundle(t, base, client.RS1)
	data := func(of []byte) string {
		whole := parseTree(t, of)
		return whole.resource(t, "Provenance")["signature"].([]any)[0].(map[string]any)["data"].(string)
	}
	element, err := base64.StdEncoding.DecodeString(data(signed))
	if err != nil {
		t.Fatal(err)
	}
	// changed is the signed bundle with its signature element changed.
	changed := func(old, replaced string) edit {
		if !strings.Contains(string(element), old) {
			t.Fatalf("%q is not in %s", old, element)
		}
		return edit{"Provenance.signature[0].data", base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(string(element), old, replaced)))}
	}
	certificate := base64.StdEncoding.EncodeToString(theCard(t).certificate.Raw)
	finding := func(codes ...certificates.Code) Judge {
		return func(_ context.Context, leaf *x509.Certificate, at time.Time) []certificates.Code {
			if !at.Equal(noon) || !leaf.Equal(theCard(t).certificate) {
				t.Errorf("certificate was judged at %v, want noon", at)
			}
			return codes
		}
	}
	for _, c := range []struct {
		name  string
		edits []edit
		judge Judge
		want  []string
	}{
		{"as it was signed", nil, nil, nil},
		{"indented", []edit{changed("><", ">\n  <")}, nil, nil},
		{"indented within SignedInfo", []edit{changed("<Reference><Transforms>", "<Reference>\r\n\t<Transforms>")}, nil, nil},
		{"SignedInfo without a namespace of its own", []edit{changed(`<SignedInfo xmlns="http://www.w3.org/2000/09/xmldsig#">`, "<SignedInfo>")}, nil, nil},
		{"lines in the certificate", []edit{changed(certificate, certificate[:64]+"\n"+certificate[64:])}, nil, nil},
		{"a comment", []edit{changed("<Reference>", "<!-- x --><Reference>")}, nil, nil},

		{"no Provenance", []edit{{"Provenance.resourceType", "Basic"}}, nil, []string{badFormat}},
		{"signed by somebody else", []edit{{"Provenance.signature[0].who.reference", "urn:uuid:x"}}, nil, []string{badFormat}},
		{"no data", []edit{{"Provenance.signature[0].data", absent{}}}, nil, []string{badFormat}},
		{"no base64", []edit{{"Provenance.signature[0].data", "<Signature/>"}}, nil, []string{badFormat}},
		{"no XML", []edit{{"Provenance.signature[0].data", "AAAA"}}, nil, []string{badFormat}},
		{"a document type", []edit{changed("<Signature ", "<!DOCTYPE x><Signature ")}, nil, []string{badFormat}},
		{"another namespace", []edit{changed(`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"`, `<Signature xmlns="urn:x"`)}, nil, []string{badFormat}},
		{"no SignatureValue", []edit{changed("SignatureValue>", "Value>")}, nil, []string{badFormat}},
		{"an empty certificate", []edit{changed(certificate, " ")}, nil, []string{badFormat}},
		{"a certificate in PEM", []edit{changed(certificate, "-----BEGIN CERTIFICATE-----\n"+certificate+"\n-----END CERTIFICATE-----")}, nil, []string{severalCertificates}},
		{"two certificates", []edit{changed("<X509Certificate>", "<X509Certificate>AAAA</X509Certificate><X509Certificate>")}, nil, []string{severalCertificates}},
		{"half a certificate", []edit{changed(certificate, certificate[:400])}, nil, []string{badCertificate}},
		{"a certificate that is no base64", []edit{changed(certificate, "%")}, nil, []string{badCertificate}},

		{"a patient renamed", []edit{{"Patient.name[0].family", "Ashdowne"}}, nil, []string{otherPrescription}},
		{"the pharmacy changed", []edit{{"MedicationRequest.dispenseRequest.performer.identifier.value", "FZX98"}}, nil, nil},
		{"a second later", []edit{{"Provenance.signature[0].when", "2026-11-30T12:00:01+00:00"}}, trusting, []string{otherPrescription}},
		{"the time in another zone", []edit{{"Provenance.signature[0].when", "2026-11-30T13:00:00.5+01:00"}}, nil, nil},
		{"the signature of another", []edit{{"Provenance.signature[0].data", data(otherSigned)}}, trusting, []string{otherPrescription}},
		{"another value", []edit{changed("<SignatureValue>", "<SignatureValue>AAAA")}, nil, []string{badSignature}},
		{"a value that is no base64", []edit{changed("<SignatureValue>", "<SignatureValue>%")}, nil, []string{badSignature}},
		{"another digest", []edit{changed("<DigestValue>", "<DigestValue>A")}, nil, []string{badSignature, otherPrescription}},
		{"text before the digest", []edit{changed("<DigestValue>", "x<DigestValue>")}, nil, []string{badFormat}},
		{"text after the digest", []edit{changed("</DigestValue>", "</DigestValue>x")}, nil, []string{badFormat}},
		{"something more in SignedInfo", []edit{changed("<Reference>", `<Reference URI="#x">`)}, nil, []string{badSignature, otherPrescription}},
		{"another algorithm", []edit{changed("rsa-sha256", "rsa-sha512")}, nil, []string{badSignature, otherPrescription}},

		{"revoked", nil, finding(certificates.Revoked), []string{revoked}},
		{"the issuer revoked", nil, finding(certificates.IssuerRevoked), []string{issuerRevoked}},
		{"expired", nil, finding(certificates.Expired), []string{outOfTime}},
		{"not yet valid", nil, finding(certificates.NotYetValid), []string{outOfTime}},
		{"untrusted", nil, finding(certificates.Untrusted), []string{untrusted}},
		{"for something else", nil, finding(certificates.NotForSigning, certificates.SHA1), []string{untrusted}},
		{"everything", []edit{{"Patient.name[0].family", "x"}, changed("<SignatureValue>", "<SignatureValue>AAAA")},
			finding(certificates.Untrusted, certificates.Expired, certificates.IssuerRevoked, certificates.Revoked),
			[]string{badSignature, otherPrescription, revoked, issuerRevoked, outOfTime, untrusted}},
		{"no time", []edit{{"Provenance.signature[0].when", "x"}}, nil, []string{"Incorrect format for date time string 'x'."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := parseTree(t, signed)
			for _, e := range c.edits {
				whole.apply(t, e)
			}
			judge := c.judge
			if judge == nil {
				judge = finding()
			}
			issues := Verify(context.Background(), mustRead(t, whole.source(t)), judge)
			if got := texts(issues); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, issue := range issues {
				if issue.Code != "invalid" || issue.Severity != "error" && issue.Details == nil {
					t.Errorf("got %+v, want an error of code invalid", issue)
				}
			}
		})
	}
	if issues := Verify(context.Background(), mustRead(t, []byte(`{}`)), trusting); !slices.Equal(texts(issues), []string{badFormat}) {
		t.Errorf("got %q for no bundle, want %q", texts(issues), badFormat)
	}
}

// TestHostileSignatures: malformed signatures of any shape are refused at once.
func TestHostileSignatures(t *testing.T) {
	const open = `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">`
	for name, document := range map[string]string{
		"deep":     open + strings.Repeat("<SignedInfo>", 30_000) + strings.Repeat("</SignedInfo>", 30_000) + "</Signature>",
		"comments": open + "<SignedInfo>" + strings.Repeat("a<!---->", 80_000) + "</SignedInfo></Signature>",
		"entities": `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + open + "&b;</Signature>",
	} {
		whole := loadTree(t, "signed-time-from-provenance")
		whole.apply(t, edit{"Provenance.signature[0].data", base64.StdEncoding.EncodeToString([]byte(document))})
		issues := Verify(context.Background(), mustRead(t, whole.source(t)), trusting)
		if got := texts(issues); !slices.Equal(got, []string{badFormat}) {
			t.Errorf("%s: got %q, want %q", name, got, badFormat)
		}
	}
}
