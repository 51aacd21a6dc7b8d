package bars_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/bars/barstest"
)

const fqdn = "bars-int-x26.supplier.thirdparty.nhs.uk"

func chainOf(a *barstest.Authority, leaf tls.Certificate) []*x509.Certificate {
	return []*x509.Certificate{leaf.Leaf, a.Sub, a.Root}
}

// TestTrust holds who may call by what TLS has verified, one fault at a time.
func TestTrust(t *testing.T) {
	int1, int2, prod := barstest.NewAuthority(t, "NHS INT"), barstest.NewAuthority(t, "NHS INT New"), barstest.NewAuthority(t, "Somebody")
	int3, late := barstest.NewAuthority(t, "NHS INT Third"), barstest.NewAuthority(t, "NHS INT Late", barstest.Valid(time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)))
	good, revoked := int1.Issue("proxy.example.nhs.uk"), int1.Issue("proxy.example.nhs.uk")
	now := time.Now()
	lists, err := bars.ReadRevocations([]string{
		int1.Revoke(t.TempDir()+"/crl.pem", now.Add(time.Hour), revoked.Leaf), int3.RevokeSub(t.TempDir()+"/crl.pem", now.Add(time.Hour)),
	}, slices.Concat(int1.Chain(), int3.Chain()), now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := bars.NewTrust(bars.TrustOptions{
		Environment: bars.Integration, Chain: slices.Concat(int1.Chain(), int2.Chain(), int3.Chain(), late.Chain()), Subjects: []string{"Proxy.Example.NHS.uk", "bars-prod-x26.a.nhs.uk"},
		Revoked: lists, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	state := func(chains ...[]*x509.Certificate) *tls.ConnectionState {
		s := &tls.ConnectionState{Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, VerifiedChains: chains}
		if len(chains) > 0 {
			s.PeerCertificates = chains[0]
		}
		return s
	}
	old := state(chainOf(int1, good))
	old.Version = tls.VersionTLS11
	weak := state(chainOf(int1, good))
	weak.Version, weak.CipherSuite = tls.VersionTLS12, tls.TLS_RSA_WITH_AES_128_GCM_SHA256
	strong := state(chainOf(int1, good))
	strong.Version, strong.CipherSuite = tls.VersionTLS12, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	unverified := state()
	unverified.PeerCertificates = chainOf(int1, good)
	swapped := state(chainOf(int1, good))
	swapped.PeerCertificates = chainOf(prod, prod.Issue("proxy.example.nhs.uk"))
	for what, c := range map[string]struct {
		state *tls.ConnectionState
		says  string
	}{
		"the right one":               {state(chainOf(int1, good)), ""},
		"up to the sub alone":         {state(chainOf(int1, good)[:2]), ""},
		"the other chain of a change": {state(chainOf(int2, int2.Issue("proxy.example.nhs.uk"))), ""},
		"one of two chains":           {state([]*x509.Certificate{good.Leaf, prod.Sub, prod.Root}, chainOf(int1, good)), ""},
		"TLS 1.2 with ECDHE":          {strong, ""},
		"pinned by a DNS name":        {state(chainOf(int1, int1.Issue("proxy.example.nhs.uk", func(c *x509.Certificate) { c.Subject.CommonName = "" }))), ""},
		"pinned by its CN":            {state(chainOf(int1, int1.Issue("proxy.example.nhs.uk", func(c *x509.Certificate) { c.DNSNames = nil }))), ""},

		"no TLS":                                 {nil, "did not come over TLS"},
		"TLS 1.1":                                {old, "TLS 1.2 is the least"},
		"RSA key exchange":                       {weak, "not an ECDHE"},
		"no certificate":                         {state(), "has shown no certificate"},
		"no verified chain":                      {unverified, "was not verified"},
		"another's chain":                        {swapped, "another certificate's"},
		"other authority":                        {state(chainOf(prod, prod.Issue("proxy.example.nhs.uk"))), "not of the int chain"},
		"the sub itself":                         {state([]*x509.Certificate{int1.Sub, int1.Root}), "an authority's"},
		"a leaf alone":                           {state([]*x509.Certificate{good.Leaf}), "an authority's"},
		"expired":                                {state(chainOf(int1, int1.Issue("proxy.example.nhs.uk", barstest.Valid(now.Add(-time.Hour), now.Add(-time.Second))))), "is valid from"},
		"not valid yet":                          {state(chainOf(int1, int1.Issue("proxy.example.nhs.uk", barstest.Valid(now.Add(time.Second), now.Add(time.Hour))))), "is valid from"},
		"wrong environment":                      {state(chainOf(int1, int1.Issue("BaRS-PROD-X26.a.nhs.uk"))), "a system of the prod environment"},
		"wrong environment, in one of its names": {state(chainOf(int1, int1.Issue("proxy.example.nhs.uk", func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "bars-prod-x26.a.nhs.uk") }))), "a system of the prod environment"},
		"an expired sub":                         {state(chainOf(late, late.Issue("proxy.example.nhs.uk"))), "is valid from"},
		"a revoked sub":                          {state(chainOf(int3, int3.Issue("proxy.example.nhs.uk"))), "was revoked"},
		"a subject not pinned":                   {state(chainOf(int1, int1.Issue("other.example.nhs.uk"))), "names none of the subjects"},
		"revoked":                                {state(chainOf(int1, revoked)), "was revoked"},
	} {
		err := trust.CheckConnection(c.state)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v; want %q", what, err, c.says)
		}
	}
	// A connection that is kept open does not outlive its certificate.
	now = now.Add(100 * 24 * time.Hour)
	if err := trust.CheckConnection(state(chainOf(int1, good))); err == nil {
		t.Error("a certificate that has expired meanwhile is trusted")
	}
}

func TestNewTrust(t *testing.T) {
	a := barstest.NewAuthority(t, "NHS INT")
	production := *a.Root
	production.Subject.CommonName = "NHS Root Authority G2"
	productionSub := *a.Sub
	productionSub.Subject.CommonName = "NHS Authentication G2"
	for what, c := range map[string]struct {
		options bars.TrustOptions
		says    string
	}{
		"int":                   {bars.TrustOptions{Environment: bars.Integration, Chain: a.Chain()}, ""},
		"empty":                 {bars.TrustOptions{Environment: bars.Integration}, "the chain is empty"},
		"sandbox":               {bars.TrustOptions{Environment: "sandbox", Chain: a.Chain()}, "use int or prod"},
		"a leaf":                {bars.TrustOptions{Environment: bars.Integration, Chain: append(a.Chain(), a.Issue("leaf").Leaf)}, "no authority"},
		"PROD chain on INT":     {bars.TrustOptions{Environment: bars.Integration, Chain: []*x509.Certificate{&production}}, "of the prod environment"},
		"PROD sub on INT":       {bars.TrustOptions{Environment: bars.Integration, Chain: []*x509.Certificate{a.Root, &productionSub}}, "of the prod environment"},
		"INT chain on PROD":     {bars.TrustOptions{Environment: bars.Production, Chain: a.Chain()}, "of the int environment"},
		"both during a mistake": {bars.TrustOptions{Environment: bars.Production, Chain: append(a.Chain(), &production)}, "of the int environment"},
		"PROD chain on PROD":    {bars.TrustOptions{Environment: bars.Production, Chain: []*x509.Certificate{&production}}, ""},
	} {
		_, err := bars.NewTrust(c.options)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v; want %q", what, err, c.says)
		}
	}
}

// TestRevocations holds that lists are believed only when signed and current, and that a new one is taken up.
func TestRevocations(t *testing.T) {
	a, other := barstest.NewAuthority(t, "NHS INT"), barstest.NewAuthority(t, "Other")
	var log bytes.Buffer
	now, path, logger := time.Now(), t.TempDir()+"/crl.pem", slog.New(slog.NewTextHandler(&log, nil))
	leaf := a.Issue(fqdn)
	read := func() (*bars.Revocations, error) {
		return bars.ReadRevocations([]string{path}, a.Chain(), now, logger)
	}
	if _, err := read(); err == nil {
		t.Error("a file that is missing")
	}
	other.Revoke(path, now.Add(time.Hour), leaf.Leaf)
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "no authority of the chain") {
		t.Errorf("another authority's list: %v", err)
	}
	barstest.NewAuthority(t, "NHS INT").Revoke(path, now.Add(time.Hour), leaf.Leaf)
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "no authority of the chain") {
		t.Errorf("a list of an authority that only bears the name: %v", err)
	}
	a.Revoke(path, now.Add(-time.Second))
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "was due") {
		t.Errorf("an old list: %v", err)
	}
	a.Revoke(path, now.Add(time.Hour))
	lists, err := read()
	if err != nil {
		t.Fatal(err)
	}
	trust, err := bars.NewTrust(bars.TrustOptions{Environment: bars.Integration, Chain: a.Chain(), Revoked: lists, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	check := func() error { return trust.CheckChains([][]*x509.Certificate{chainOf(a, leaf)}) }
	if err := check(); err != nil {
		t.Fatal(err)
	}
	a.Revoke(path, now.Add(time.Hour), leaf.Leaf)
	now = now.Add(2 * time.Minute)
	if err := check(); err == nil || !strings.Contains(err.Error(), "was revoked") {
		t.Errorf("the new list was not read: %v", err)
	}
	if block, _ := pem.Decode([]byte(readFile(t, path))); block == nil || os.WriteFile(path, block.Bytes, 0o600) != nil {
		t.Fatal("the list cannot be written in DER")
	}
	if _, err := read(); err != nil {
		t.Errorf("a list in DER: %v", err)
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute)
	if err := check(); err == nil {
		t.Error("the last good list does not go on")
	}
	for range 3 {
		now = now.Add(time.Hour)
		if err := check(); err == nil {
			t.Error("a list that is overdue does not go on")
		}
	}
	if n := strings.Count(log.String(), "should have been renewed"); n != 1 {
		t.Errorf("that the list is overdue is told %d times:\n%s", n, &log)
	}
}

func TestEgress(t *testing.T) {
	for _, c := range []struct {
		environment bars.Environment
		allowed     string
		good        bool
	}{
		{bars.Integration, "35.197.254.55", true}, {bars.Production, "34.89.0.111", true}, {bars.Production, "192.0.2.0/24", true},
		{bars.Production, "35.197.254.55", false}, {bars.Integration, "34.89.69.6", false}, {bars.Production, "0.0.0.0/0", false}, {bars.Production, "35.246.0.0/16", false},
		{bars.Production, "::/0", true},
	} {
		prefix, err := bars.ParseEgress(c.allowed)
		if err != nil {
			t.Fatal(err)
		}
		if err := bars.CheckEgress(c.environment, []netip.Prefix{prefix}); (err == nil) != c.good {
			t.Errorf("%s on %s: %v", c.allowed, c.environment, err)
		}
	}
	if _, err := bars.ParseEgress("proxy.example.nhs.uk"); err == nil {
		t.Error("a name is taken for an address")
	}
	for environment, want := range map[bars.Environment]string{
		bars.Integration: "[35.197.254.55/32 35.246.55.143/32]", bars.Production: "[34.89.0.111/32 34.89.69.6/32]", "sandbox": "[]",
	} {
		if got := fmt.Sprint(bars.Egress(environment)); got != want {
			t.Errorf("the proxy of %s calls from %s, want %s", environment, got, want)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A request is for an RSA key of 2048 bits and more (BAR-4.5).
func TestRequestKeys(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{short, curve} {
		if _, err := bars.NewRequest(fqdn, key); err == nil || !strings.Contains(err.Error(), "at least 2048 bits") {
			t.Errorf("%T: %v", key, err)
		}
	}
}

func TestCertificateNames(t *testing.T) {
	a, other := barstest.NewAuthority(t, "NHS INT"), barstest.NewAuthority(t, "Other")
	leaf := a.Issue("BaRS-INT-X26.Supplier.thirdparty.nhs.uk")
	if err := bars.CheckNames(leaf.Leaf, fqdn); err != nil {
		t.Errorf("names differ in case only: %v", err)
	}
	for says, option := range map[string]barstest.Option{
		"does not name":                  func(c *x509.Certificate) { c.DNSNames = []string{"other.nhs.uk"} },
		"has no CN":                      func(c *x509.Certificate) { c.Subject.CommonName = "" },
		"CN is other":                    func(c *x509.Certificate) { c.Subject.CommonName = "other" },
		"more subject alternative names": func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "more.nhs.uk") },
		"it should be the only one":      func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} },
	} {
		if err := bars.CheckNames(a.Issue(fqdn, option).Leaf, fqdn); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
	file := []*x509.Certificate{leaf.Leaf, a.Sub}
	if err := bars.CheckIssued(file, a.Chain()); err != nil {
		t.Error(err)
	}
	if err := bars.CheckIssued(file, other.Chain()); err == nil {
		t.Error("another authority's certificate")
	}
	if err := bars.CheckIssued(nil, a.Chain()); err == nil {
		t.Error("no certificate")
	}
}
