package browser_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/prescription"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// epsLines are a site's stand-in for EPS, and the client whose prescriptions it prepares.
const epsLines = `
	handle_path /electronic-prescriptions/* {
		eps {
			client acme
			stand_in {
				certificates {
					trust mock
				}
			}
		}
	}
`

// prescribing is a gateway through which a client prepares prescriptions and has them signed.
type prescribing struct {
	*gateway.Gateway
	site   *clientSite
	system gateway.System
	home   string
}

func newPrescribing(t *testing.T, display string) *prescribing {
	t.Helper()
	p := &prescribing{site: newClientSite(t), home: t.TempDir()}
	key := gateway.NewKey(t, 4096)
	p.Gateway = gateway.Start(t, fmt.Sprintf(`{
`+gateway.Options+`	countersign {
		environment int
		store badger
		client acme {
			name "Acme EPR"
			key acme-1 %s
			callback %s/signed
			algorithms RS256
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /main/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/main
			access open
			%s
			mock https://localhost:{$PORT_AGENT} {
				`+gateway.MutualTLS+`			}
			certificates {
				trust mock
			}
		}
	}
`+epsLines+`}

https://localhost:{$PORT_AGENT} {
`+gateway.DemandMutualTLS+`	smartcard_agent mock {
		allow_client gateway.countersign.internal
	}
}
`, key.Public, p.site.URL, display), gateway.Home(p.home))
	p.system = gateway.System{Base: p.URL("GATEWAY", "/main"), ID: "acme", Kid: "acme-1", Key: key, Sub: person}
	return p
}

func (p *prescribing) post(t *testing.T, operation string, body []byte) gateway.Answer {
	t.Helper()
	answer, err := http.Post(p.URL("GATEWAY", "/electronic-prescriptions/FHIR/R4/"+operation), "application/fhir+json", bytes.NewReader(body)) //nolint:noctx // a test's own gateway
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	return gateway.Answer{Status: answer.StatusCode, Header: answer.Header, Body: text.Bytes()}
}

// prepare has a recorded bundle prepared, and returns it with the digest and the timestamp.
func (p *prescribing) prepare(t *testing.T, name string) (bundle []byte, digest string, at time.Time) {
	t.Helper()
	bundle, err := os.ReadFile(filepath.Join(gateway.Root(t), "prescription", "testdata", "eps", "bundles", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	answer := p.post(t, "$prepare", bundle)
	var parameters struct {
		Parameter []struct{ ValueString string }
	}
	if err := json.Unmarshal(answer.Body, &parameters); err != nil || answer.Status != http.StatusOK || len(parameters.Parameter) != 3 {
		t.Fatalf("$prepare: %d %v\n%s", answer.Status, err, answer.Body)
	}
	at, err = time.Parse(prescription.TimestampFormat, parameters.Parameter[1].ValueString)
	if err != nil {
		t.Fatal(err)
	}
	return bundle, parameters.Parameter[0].ValueString, at
}

// seen presses "Look again" until the prescriptions are there: they are kept after $prepare has been answered.
func (b *tab) seen(counts string) {
	b.t.Helper()
	b.waitFor("prescriptions "+counts, fmt.Sprintf(`(() => {
		[...document.querySelectorAll("#prescriptions button")].find((e) => e.textContent === "Look again")?.click();
		return document.getElementById("rx-heading")?.textContent === %q;
	})()`, counts))
}

// A prescription goes the whole way: it is prepared, shown because its digest is the one to be signed, signed, completed,
// and accepted. Nothing that is written anywhere has a word of it.
func TestAPrescriptionIsShownAndSigned(t *testing.T) {
	p := newPrescribing(t, "display required")
	bundle, digest, at := p.prepare(t, "controlled-drug")
	accepted := p.system.Request(t, "RS256", "", gateway.Payload{ID: "rx-1", Payload: digest})
	b := newBrowser(t)
	b.goTo(accepted.RedirectURI)
	b.seen("1 prescription, 1 item, 1 patient")
	payload, _ := base64.StdEncoding.DecodeString(digest)
	read, err := prescription.ReadBundle(bundle)
	if err != nil {
		t.Fatal(err)
	}
	prepared, outcome := prescription.Prepare(read, prescription.MayPrescribe, "RS256", at)
	if outcome != nil || !bytes.Equal(prepared.SignedInfo, payload) {
		t.Fatalf("the digest is not that of the bundle: %v", outcome)
	}
	signed, err := prescription.ReadFragments(prepared.Fragments)
	if err != nil {
		t.Fatal(err)
	}
	item := signed.Items[0]
	for _, text := range []string{signed.Patient.Heading(), signed.Patient.BornText(), signed.Patient.NHSNumberText(), item.Drug.Name, item.Drug.Code, item.Dosage, item.Quantity.Value + " " + item.Quantity.Unit} {
		if !b.shows(text) {
			t.Errorf("the page does not show %q", text)
		}
	}
	b.accessible()
	b.shot("journey-prescription-1200")
	b.viewport(390, 844)
	b.fits()
	b.shot("journey-prescription-390")
	b.press("Sign 1 prescription for Acme EPR")
	b.waitHeading("Back at Acme EPR")

	p.complete(t, read, prepared, accepted.Token)
	p.MustNotLog(signed.Patient.NHSNumber, signed.Patient.Names[0].Family, item.Drug.Name)
	p.mustNotHaveWritten(t, signed.Patient.NHSNumber, signed.Patient.Names[0].Family, item.Drug.Name, "urn:hl7-org:v3")
}

// complete puts the signature into the bundle, and has EPS's stand-in take it.
func (p *prescribing) complete(t *testing.T, read *prescription.Bundle, prepared prescription.Prepared, token string) {
	t.Helper()
	got := p.system.Fetch(t, token)
	der, err := base64.StdEncoding.DecodeString(got.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := base64.StdEncoding.DecodeString(got.Signatures[0].Signature)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := prescription.Complete(read, prepared, signature, leaf)
	if err != nil {
		t.Fatal(err)
	}
	if answer := p.post(t, "$process-message", whole); answer.Status != http.StatusOK || !strings.Contains(string(answer.Body), "informational") {
		t.Errorf("the signed prescription: %d %s", answer.Status, answer.Body)
	}
	other := bytes.Replace(whole, []byte(`"value": 56`), []byte(`"value": 57`), 1)
	if bytes.Equal(other, whole) {
		other = bytes.Replace(whole, []byte(`"text": "`), []byte(`"text": "Not `), 1)
	}
	if answer := p.post(t, "$process-message", other); answer.Status != http.StatusBadRequest || !strings.Contains(string(answer.Body), "Signature doesn't match prescription") {
		t.Errorf("a changed prescription: %d %s", answer.Status, answer.Body)
	}
	list := gateway.Get(t, p.URL("GATEWAY", "/electronic-prescriptions/FHIR/R4/accepted"), nil)
	if n := strings.Count(string(list.Body), `"prescription"`); n != 1 {
		t.Errorf("accepted: %s", list.Body)
	}
}

// mustNotHaveWritten searches all that the gateway has on disk.
func (p *prescribing) mustNotHaveWritten(t *testing.T, texts ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(p.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for _, text := range texts {
			if bytes.Contains(data, []byte(text)) {
				t.Errorf("%s has %q", path, text)
			}
		}
		return nil
	})
	if err != nil || files < 5 {
		t.Errorf("%d files were searched, %v", files, err)
	}
}

// What was never prepared here is not shown: with required it is not signed either, whatever a program sends.
func TestAnUnknownPrescriptionIsNotSigned(t *testing.T) {
	p := newPrescribing(t, "display required")
	_, digest, _ := p.prepare(t, "acute-one-item")
	payloads := append(gateway.Payloads("RS256", 1), gateway.Payload{ID: "rx-1", Payload: digest})
	accepted := p.system.Request(t, "RS256", "", payloads...)
	b := newBrowser(t)
	b.goTo(accepted.RedirectURI)
	b.waitText("cannot be shown")
	b.waitText("This service signs only what it has shown. Nothing was signed.")
	if b.shows("999 000") {
		t.Error("one of the two is shown")
	}
	b.press("Sign 2 items for Acme EPR")
	status := eval[int](b, `fetch("client/sign", {method: "POST", headers: {"Content-Type": "application/json", "X-CSRF-Token": document.querySelector("meta[name=csrf]").content || "none"},
		body: JSON.stringify({id: new URLSearchParams(location.search).get("session")})}).then((r) => r.status)`)
	if status != http.StatusConflict && status != http.StatusForbidden {
		t.Errorf("a call that signs all the same is answered %d", status)
	}
	b.press("Cancel")
	b.press("Yes, cancel the request")
	b.waitHeading("You cancelled this request")
}
