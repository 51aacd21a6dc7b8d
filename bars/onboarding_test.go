package bars_test

import (
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/bars"
)

// supplier returns a complete profile.
func supplier(environment bars.Environment) bars.Profile {
	word := strings.ToUpper(string(environment))
	return bars.Profile{
		Environment: environment, Name: "MySupplier", Organisation: "X26", AppID: "4711", AppName: "my-app", IntAppName: "my-int-app", KID: "MySupplier-" + word + "-1",
		FQDN: "BaRS-" + word + "-X26.MySupplier.thirdparty.nhs.uk", IP: "203.0.113.7", URL: "https://BaRS-" + word + "-X26.MySupplier.thirdparty.nhs.uk/FHIR/R4", Target: "2000099999",
	}
}

// Each letter goes to the address the guide gives and contains everything required (BAR-4.6 to BAR-4.10).
func TestLetters(t *testing.T) {
	for _, c := range []struct {
		step        bars.Step
		environment bars.Environment
		to          string
		says        []string
		note        string
	}{
		{bars.StepRegister, bars.Integration, "api.management@nhs.net", []string{
			"Environment:       INT\n", "Application id:    4711\n", "Application name:  my-app\n", "KID:               MySupplier-INT-1\n",
			"APIs:              Booking and Referral FHIR API (Integration Testing Environment)\n", "attached public key (PEM)",
		}, ""},
		{bars.StepRegister, bars.Production, "", []string{
			"Environment:       PROD (Live)\n", "KID:               MySupplier-PROD-1\n", "INT application:   my-int-app\n", "APIs:              Booking and Referral FHIR API\n", "This is for Live.", "one provider alone",
		}, "leaves the address blank. Ask bookingandreferralstandard@nhs.net"},
		{bars.StepCertificate, bars.Integration, "itoc.supportdesk@nhs.net", []string{
			"Certificate only:        yes\n", "For:                     BaRS\n", "FQDN (CN and only SAN):  BaRS-INT-X26.MySupplier.thirdparty.nhs.uk\n", "Party key:               N/A\n",
		}, ""},
		{bars.StepCertificate, bars.Production, "dir@nhs.net", []string{
			"has passed its technical conformance", "FQDN (CN and only SAN):  BaRS-PROD-X26.MySupplier.thirdparty.nhs.uk\n", "Party key:               N/A\n",
		}, "after technical conformance, not before. The guide names liveservices.gate@nhs.net"},
		{bars.StepDNS, bars.Integration, "dnsteam@nhs.net", []string{
			"Environment:     INT\n", "Name:            BaRS-INT-X26.MySupplier.thirdparty.nhs.uk\n", "Type:            A\n", "Public address:  203.0.113.7\n",
		}, "under it by whoever runs that domain"},
		{bars.StepDNS, bars.Production, "dnsteam@nhs.net", []string{"Environment:     PROD (Live)\n"}, ""},
		{bars.StepCatalogue, bars.Integration, "bookingandreferralstandard@nhs.net", []string{
			"Environment:        INT\n", "Service (target):   2000099999\n", "Receiver URL:       https://BaRS-INT-X26.MySupplier.thirdparty.nhs.uk/FHIR/R4\n",
		}, "doctor"},
	} {
		letter, err := supplier(c.environment).Letter(c.step, "a.pem")
		if err != nil {
			t.Fatal(err)
		}
		text := letter.Text()
		for _, part := range append(c.says, "To:      "+c.to+"\n", "Attach:  a.pem\n", "\nMySupplier\n") {
			if !strings.Contains(text, part) {
				t.Errorf("%s on %s: want %q in the letter, got\n%s", c.step, c.environment, part, text)
			}
		}
		if letter.To != c.to || !strings.Contains(letter.Note, c.note) || strings.Contains(text, "%!") {
			t.Errorf("%s on %s: got address %q, note %q, letter\n%s", c.step, c.environment, letter.To, letter.Note, text)
		}
	}
	six := supplier(bars.Integration)
	six.IP = "2001:db8::7"
	if letter, err := six.Letter(bars.StepDNS); err != nil || !strings.Contains(letter.Body, "Type:            AAAA\n") {
		t.Errorf("%v\n%s", err, letter.Body)
	}
}

// Each step comes after the steps it depends on.
func TestSteps(t *testing.T) {
	want := []bars.Step{bars.StepPortal, bars.StepKey, bars.StepRegister, bars.StepCSR, bars.StepCertificate, bars.StepDNS, bars.StepCatalogue}
	for i, step := range bars.Steps() {
		if step != want[i] {
			t.Errorf("step %d: got %s, want %s", i+1, step, want[i])
		}
	}
}

// A profile that mixes environments is refused; a broken naming rule is only advice (BAR-3.3, BAR-3.13).
func TestProfile(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*bars.Profile)
		advice  string
		refusal string
	}{
		"right":                   {func(*bars.Profile) {}, "", ""},
		"an odd kid":              {func(p *bars.Profile) { p.KID = "test-1" }, "fewer than three parts", ""},
		"an odd name":             {func(p *bars.Profile) { p.FQDN, p.URL = "x26.trust.nhs.uk", "" }, "does not begin with BaRS", ""},
		"its URL in another case": {func(p *bars.Profile) { p.URL = strings.ToUpper(p.URL) }, "", ""},
		"its URL with a port":     {func(p *bars.Profile) { p.URL = "https://" + p.FQDN + ":8443/r" }, "", ""},
		"its URL alone":           {func(p *bars.Profile) { p.URL = "https://" + p.FQDN }, "", ""},
		"a URL that goes on":      {func(p *bars.Profile) { p.URL = "https://" + p.FQDN + ".example.com/" }, "", "does not begin with"},
		"a URL of another":        {func(p *bars.Profile) { p.URL = "https://b.nhs.uk" }, "", "does not begin with"},
		"plain http":              {func(p *bars.Profile) { p.URL = strings.Replace(p.URL, "https", "http", 1) }, "", "does not begin with"},
		"a kid of PROD":           {func(p *bars.Profile) { p.KID = "MySupplier-PROD-1" }, "", "is for PROD, but this environment is int"},
		"a kid of the sandbox":    {func(p *bars.Profile) { p.KID = "MySupplier-Sandbox-1" }, "", "is for Sandbox, but this environment is int"},
		"a name of PROD":          {func(p *bars.Profile) { p.FQDN = "bars-prod-x26.a.nhs.uk" }, "", "a name of the prod environment"},
		"the sandbox":             {func(p *bars.Profile) { p.Environment = "sandbox" }, "", "use --environment int"},
	} {
		p := supplier(bars.Integration)
		c.change(&p)
		advice, err := p.Check()
		if (err != nil) != (c.refusal != "") || err != nil && !strings.Contains(err.Error(), c.refusal) {
			t.Errorf("%s: got error %v", name, err)
		}
		if said := strings.Join(advice, "\n"); (said != "") != (c.advice != "") || !strings.Contains(said, c.advice) {
			t.Errorf("%s: got advice %q", name, said)
		}
	}
}
