package bars_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/bars"
)

// The rules as regular expressions (BAR-3.10, BAR-3.11, BAR-4.1), which the parser is compared with.
const label = `[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?`

var (
	thirdPartyRule = regexp.MustCompile(`^bars-(int|prod)-([a-z0-9]{3,8})(?:-(` + label + `))?\.(` + label + `)\.thirdparty\.nhs\.uk$`)
	providerRule   = regexp.MustCompile(`^bars-(int|prod)-([a-z0-9]{3,8})(?:-(` + label + `))?\.((?:` + label + `\.)*` + label + `)\.nhs\.uk$`)
	kidRule        = regexp.MustCompile(`^([A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)-(Sandbox|DEV|INT|PROD)-([1-9][0-9]*)$`)
)

func byTheRule(name string) bool {
	lower := strings.ToLower(name)
	if strings.HasSuffix(lower, ".thirdparty.nhs.uk") {
		return thirdPartyRule.MatchString(lower)
	}
	return providerRule.MatchString(lower)
}

func TestFQDN(t *testing.T) {
	good := map[string]bars.FQDN{
		"BaRS-INT-X26.MySupplier.thirdparty.nhs.uk":     {bars.Integration, "x26", "", "mysupplier", true},
		"BaRS-PROD-RX7-UTC.NWAS.nhs.uk":                 {bars.Production, "rx7", "utc", "nwas", false},
		"bars-prod-rx7.nwas.nhs.uk":                     {bars.Production, "rx7", "", "nwas", false},
		"bars-int-a1b2c3d4.sub.trust.nhs.uk":            {bars.Integration, "a1b2c3d4", "", "sub.trust", false},
		"bars-int-x26-out-of-hours.supplier.nhs.uk":     {bars.Integration, "x26", "out-of-hours", "supplier", false},
		"bars-prod-x26-1.my-supplier.thirdparty.nhs.uk": {bars.Production, "x26", "1", "my-supplier", true},
		"BARS-INT-RX7.ThirdParty.SomeTrust.nhs.uk":      {bars.Integration, "rx7", "", "thirdparty.sometrust", false},
		"bars-int-x26-xn--caf-dma.supplier.nhs.uk":      {bars.Integration, "x26", "xn--caf-dma", "supplier", false},
		"bars-int-123.0.nhs.uk":                         {bars.Integration, "123", "", "0", false},
	}
	for name, want := range good {
		got, err := bars.ParseFQDN(name)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", name, got, err, want)
		}
		if !byTheRule(name) {
			t.Errorf("%s: accepted, but the contract's rule refuses it", name)
		}
	}
	for name, says := range map[string]string{
		"":                                  "not an nhs.uk name",
		"nhs.uk":                            "not an nhs.uk name",
		".nhs.uk":                           "does not begin",
		"bars-int-x26.supplier.example.com": "not an nhs.uk name",
		"bars-int-x26.supplier.thirdparty.nhs.uk.":               "not an nhs.uk name",
		"bars-int-x26.supplier.xnhs.uk":                          "not an nhs.uk name",
		"x26.supplier.thirdparty.nhs.uk":                         "does not begin",
		"bars-dev-x26.supplier.thirdparty.nhs.uk":                "does not begin",
		"bars-intx26.supplier.thirdparty.nhs.uk":                 "does not begin",
		"barsint-x26.supplier.thirdparty.nhs.uk":                 "does not begin",
		"bars-int-x2.supplier.thirdparty.nhs.uk":                 "organisation code",
		"bars-int-.supplier.thirdparty.nhs.uk":                   "organisation code",
		"bars-int-abcdefghi.supplier.thirdparty.nhs.uk":          "organisation code",
		"bars-int-x_6.supplier.thirdparty.nhs.uk":                "organisation code",
		"bars-int-x26-.supplier.thirdparty.nhs.uk":               "suffix",
		"bars-int-x26--a.supplier.nhs.uk":                        "suffix",
		"bars-int-x26.thirdparty.nhs.uk":                         "neither a supplier nor",
		"bars-int-x26.nhs.uk":                                    "neither a supplier nor",
		"bars-int-x26.a.b.thirdparty.nhs.uk":                     "a supplier name",
		"bars-int-x26.-a.thirdparty.nhs.uk":                      "a supplier name",
		"bars-int-x26.a..nhs.uk":                                 "not a valid host name label",
		"bars-int-x26..thirdparty.nhs.uk":                        "a supplier name",
		"bars-int-x26.su pplier.nhs.uk":                          "not a valid host name label",
		"bars-int-x26.caf\u00e9.nhs.uk":                          "not a valid host name label",
		"bars-int-x26.l" + strings.Repeat("o", 61) + "ng.nhs.uk": "not a valid host name label",
		"bars-int-x26." + strings.Repeat("a.", 120) + "nhs.uk":   "not an nhs.uk name",
	} {
		_, err := bars.ParseFQDN(name)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: got error %v, want one containing %q", name, err, says)
		}
		if len(name) <= 253 && byTheRule(name) {
			t.Errorf("%q: refused, but the contract's rule allows it", name)
		}
	}
}

// FuzzFQDN compares the hand-written parser with the contract's expressions.
func FuzzFQDN(f *testing.F) {
	for _, seed := range []string{
		"BaRS-INT-X26.MySupplier.thirdparty.nhs.uk", "bars-prod-rx7-utc.nwas.nhs.uk", "bars-int-x26.thirdparty.nhs.uk",
		"bars-int-x26.a.b.thirdparty.nhs.uk", "bars-int-x26-.a.nhs.uk", "bars-int-x26--.nhs.uk", "BaRS-INT-X26.\u212a.nhs.uk",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		_, err := bars.ParseFQDN(name)
		if len(name) <= 253 && byTheRule(name) != (err == nil) {
			t.Errorf("%q: got error %v, but the contract's rule decides otherwise", name, err)
		}
	})
}

func TestEnvironmentOf(t *testing.T) {
	for host, want := range map[string]bars.Environment{
		"BaRS-INT-x": bars.Integration, "bars-prod-": bars.Production, "bars-int": "", "int.api.service.nhs.uk": "", "": "",
	} {
		if got := bars.EnvironmentOf(host); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

func TestKID(t *testing.T) {
	for kid, want := range map[string]bars.KID{
		"MySupplier-INT-1":                 {"MySupplier", "INT", 1},
		"My-Supplier-Sandbox-12":           {"My-Supplier", "Sandbox", 12},
		"RX7-PROD-3":                       {"RX7", "PROD", 3},
		"a-DEV-1":                          {"a", "DEV", 1},
		"Provider-INT-PROD-10":             {"Provider-INT", "PROD", 10},
		strings.Repeat("a", 63) + "-INT-1": {strings.Repeat("a", 63), "INT", 1},
	} {
		got, err := bars.ParseKID(kid)
		if err != nil || got != want || !kidRule.MatchString(kid) {
			t.Errorf("%s: %+v, %v; want %+v", kid, got, err, want)
		}
	}
	for kid, says := range map[string]string{
		"":                                 "fewer than three parts",
		"test-1":                           "fewer than three parts",
		"MySupplier-INT-0":                 "a number of 1 or more",
		"MySupplier-INT-01":                "a number of 1 or more",
		"MySupplier-INT-+1":                "a number of 1 or more",
		"MySupplier-INT-":                  "a number of 1 or more",
		"MySupplier-INT-v1":                "a number of 1 or more",
		"MySupplier-int-1":                 "does not name its environment",
		"MySupplier-Live-1":                "does not name its environment",
		"-INT-1":                           "before the environment",
		"My Supplier-INT-1":                "before the environment",
		"My_Supplier-INT-1":                "before the environment",
		"-My-INT-1":                        "before the environment",
		"My--INT-1":                        "before the environment",
		strings.Repeat("a", 64) + "-INT-1": "before the environment",
	} {
		_, err := bars.ParseKID(kid)
		if err == nil || !strings.Contains(err.Error(), says) || kidRule.MatchString(kid) {
			t.Errorf("%q: got error %v, want one containing %q", kid, err, says)
		}
	}
}
