package bars_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/bars"
)

// catalogueOf parses a catalogue with one entry.
func catalogueOf(t *testing.T, address string, loose bool) (*bars.Catalogue, error) {
	t.Helper()
	return bars.NewCatalogue(map[bars.Target]string{{System: "s", Value: "v"}: address}, bars.Rules{Loose: loose})
}

func TestAddresses(t *testing.T) {
	for address, want := range map[string]string{ // the normalised URL; empty: refused
		"https://BaRS-INT-X26.MySupplier.thirdparty.nhs.uk":     "https://BaRS-INT-X26.MySupplier.thirdparty.nhs.uk",
		"https://bars-int-x26.a.thirdparty.nhs.uk/":             "https://bars-int-x26.a.thirdparty.nhs.uk",
		"https://bars-int-x26.a.thirdparty.nhs.uk/FHIR/R4/":     "https://bars-int-x26.a.thirdparty.nhs.uk/FHIR/R4",
		"https://bars-int-x26.a.thirdparty.nhs.uk/FHIR/R4//":    "https://bars-int-x26.a.thirdparty.nhs.uk/FHIR/R4/",
		"https://bars-int-x26.a.thirdparty.nhs.uk:8443/a%2Fb/":  "https://bars-int-x26.a.thirdparty.nhs.uk:8443/a%2Fb",
		"http://bars-int-x26.a.thirdparty.nhs.uk":               "",
		"https://10.1.2.3/FHIR":                                 "",
		"https://[2001:db8::1]/":                                "",
		"https://[::ffff:10.1.2.3]:8443/":                       "",
		"https://2130706433/":                                   "",
		"https://127.1/":                                        "",
		"https://0x7f000001/":                                   "",
		"https://10.1.2.3./":                                    "",
		"https://user:secret@bars-int-x26.a.thirdparty.nhs.uk/": "",
		"https://bars-int-x26.a.thirdparty.nhs.uk/?a=b":         "",
		"https://bars-int-x26.a.thirdparty.nhs.uk/#a":           "",
		"ftp://bars-int-x26.a.thirdparty.nhs.uk/":               "",
		"bars-int-x26.a.thirdparty.nhs.uk":                      "",
		"https://:443/":                                         "",
		"":                                                      "",
	} {
		c, err := catalogueOf(t, address, false)
		if want == "" {
			if err == nil {
				t.Errorf("%s: got no error, want a refusal", address)
			} else if strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: the error reveals a password: %v", address, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: got error %v, want none", address, err)
			continue
		}
		if got, outcome := c.Lookup(bars.Target{System: "s", Value: "v"}); outcome != nil || got.String() != want {
			t.Errorf("%s: got URL %v, outcome %v", address, got, outcome)
		}
	}
	for _, address := range []string{"http://localhost:9/a", "https://127.0.0.1/"} {
		if _, err := catalogueOf(t, address, true); err != nil {
			t.Errorf("sandbox: %s: got error %v, want none", address, err)
		}
	}
}

func TestLookup(t *testing.T) {
	unusual := func(host string) error {
		if strings.HasPrefix(host, "odd") {
			return errors.New("is odd")
		}
		return nil
	}
	c, err := bars.ParseCatalogue([]byte(`{"NHSD-Target-Identifier":{
		"https://fhir.nhs.uk/Id/dos-service-id":{"1":"https://one.nhs.uk/r","Ab":"https://one.nhs.uk","2":"http://plain.nhs.uk","3":"https://odd.nhs.uk"}}}`),
		bars.Rules{Name: unusual})
	if err != nil {
		t.Fatal(err)
	}
	const system = "https://fhir.nhs.uk/Id/dos-service-id"
	if got, outcome := c.Lookup(bars.Target{System: system, Value: "1"}); outcome != nil || got.String() != "https://one.nhs.uk/r" {
		t.Errorf("got URL %v, outcome %v", got, outcome)
	}
	for target, fault := range map[bars.Target]bars.Fault{
		{System: system, Value: "4"}:                                  bars.FaultSender,
		{System: system, Value: "ab"}:                                 bars.FaultSender,
		{System: strings.ToUpper(system), Value: "1"}:                 bars.FaultSender,
		{System: "https://fhir.nhs.uk/id/dos-service-id", Value: "1"}: bars.FaultSender,
		{System: system, Value: "2"}:                                  bars.FaultProxy, // its entry is left out
	} {
		_, outcome := c.Lookup(target)
		if outcome == nil || outcome.Status != 404 || outcome.Issue != "not-found" || outcome.Code != "PROXY_NOT_FOUND" || outcome.Fault != fault {
			t.Errorf("%v: got outcome %+v", target, outcome)
		}
	}
	if c.Size() != 3 || len(c.LeftOut()) != 1 || len(c.Unusual()) != 1 || strings.Join(c.Hosts(), " ") != "odd.nhs.uk one.nhs.uk" {
		t.Errorf("got size %d, left out %q, unusual %q, hosts %q", c.Size(), c.LeftOut(), c.Unusual(), c.Hosts())
	}
}

func TestBadCatalogues(t *testing.T) {
	for _, target := range []bars.Target{{System: "s"}, {Value: "v"}} {
		if _, err := bars.NewCatalogue(map[bars.Target]string{target: "https://a.nhs.uk"}, bars.Rules{}); err == nil || !strings.Contains(err.Error(), "no system or no value") {
			t.Errorf("%+v: got error %v, want one about a missing system or value", target, err)
		}
	}
	for _, text := range []string{
		``, `[]`, `{}`, `{"NHSD-Target-Identifier":{}}`, `{"NHSD-Target-Identifier":{"s":{}}}`,
		`{"NHSD-Target-Identifier":{"s":{"v":1}}}`, `{"NHSD-Target-Identifier":{"s":{"v":"http://a.nhs.uk"}}}`,
		`{"NHSD-Target-Identifier":{"s":{"v":"https://a.nhs.uk","v":"https://b.nhs.uk"}}}`,
		`{"NHSD-Target-Identifier":{"s":{"v":"https://a.nhs.uk"}}} `[:40],
	} {
		if _, err := bars.ParseCatalogue([]byte(text), bars.Rules{}); err == nil {
			t.Errorf("%s: got no error, want a refusal", text)
		}
	}
}

// TestCatalogueEncodings reads a catalogue as editors of Windows save it.
func TestCatalogueEncodings(t *testing.T) {
	const text = `{"NHSD-Target-Identifier":{"s":{"v":"https://a.nhs.uk"}}}`
	utf16 := []byte{0xff, 0xfe}
	for _, c := range []byte(text) {
		utf16 = append(utf16, c, 0)
	}
	for name, data := range map[string][]byte{"mark": []byte("\xef\xbb\xbf" + text), "CRLF": []byte(text + "\r\n"), "UTF-16": utf16} {
		if _, err := bars.ParseCatalogue(data, bars.Rules{}); err != nil {
			t.Errorf("%s: got error %v, want a catalogue", name, err)
		}
	}
	if _, err := bars.ParseCatalogue(utf16[2:], bars.Rules{}); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("UTF-16 without a mark: got error %v, want one that names it", err)
	}
}
