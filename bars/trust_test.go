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

// TestTrust checks who may call by the connection TLS verified, one fault at a time.
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
		"TLS 1.1":                                {old, "want TLS 1.2 or later"},
		"RSA key exchange":                       {weak, "does not use ECDHE"},
		"no certificate":                         {state(), "presented no certificate"},
		"no verified chain":                      {unverified, "was not verified"},
		"another's chain":                        {swapped, "does not begin with the presented certificate"},
		"other authority":                        {state(chainOf(prod, prod.Issue("proxy.example.nhs.uk"))), "not in the int chain"},
		"the sub itself":                         {state([]*x509.Certificate{int1.Sub, int1.Root}), "an authority, not a system"},
		"a leaf alone":                           {state([]*x509.Certificate{good.Leaf}), "an authority, not a system"},
		"expired":                                {state(chainOf(int1, int1.Issue("proxy.example.nhs.uk", barstest.Valid(now.Add(-time.Hour), now.Add(-time.Second))))), "is valid from"},
		"not valid yet":                          {state(chainOf(int1, int1.Issue("proxy.example.nhs.uk", barstest.Valid(now.Add(time.Second), now.Add(time.Hour))))), "is valid from"},
		"wrong environment":                      {state(chainOf(int1, int1.Issue("BaRS-PROD-X26.a.nhs.uk"))), "a system of the prod environment"},
		"wrong environment, in one of its names": {state(chainOf(int1, int1.Issue("proxy.example.nhs.uk", func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "bars-prod-x26.a.nhs.uk") }))), "a system of the prod environment"},
		"an expired sub":                         {state(chainOf(late, late.Issue("proxy.example.nhs.uk"))), "is valid from"},
		"a revoked sub":                          {state(chainOf(int3, int3.Issue("proxy.example.nhs.uk"))), "was revoked"},
		"a subject not pinned":                   {state(chainOf(int1, int1.Issue("other.example.nhs.uk"))), "none of the allowed subjects"},
		"revoked":                                {state(chainOf(int1, revoked)), "was revoked"},
	} {
		err := trust.CheckConnection(c.state)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: got error %v, want %q", what, err, c.says)
		}
	}
	// An open connection does not outlive its certificate.
	now = now.Add(100 * 24 * time.Hour)
	if err := trust.CheckConnection(state(chainOf(int1, good))); err == nil {
		t.Error("a certificate that expired meanwhile: got no error")
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
		"a leaf":                {bars.TrustOptions{Environment: bars.Integration, Chain: append(a.Chain(), a.Issue("leaf").Leaf)}, "not an authority"},
		"PROD chain on INT":     {bars.TrustOptions{Environment: bars.Integration, Chain: []*x509.Certificate{&production}}, "of the prod environment"},
		"PROD sub on INT":       {bars.TrustOptions{Environment: bars.Integration, Chain: []*x509.Certificate{a.Root, &productionSub}}, "of the prod environment"},
		"INT chain on PROD":     {bars.TrustOptions{Environment: bars.Production, Chain: a.Chain()}, "of the int environment"},
		"both during a mistake": {bars.TrustOptions{Environment: bars.Production, Chain: append(a.Chain(), &production)}, "of the int environment"},
		"PROD chain on PROD":    {bars.TrustOptions{Environment: bars.Production, Chain: []*x509.Certificate{&production}}, ""},
	} {
		_, err := bars.NewTrust(c.options)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: got error %v, want %q", what, err, c.says)
		}
	}
}

// TestRevocations checks that lists must be signed and current, and that a new list is loaded.
func TestRevocations(t *testing.T) {
	a, other := barstest.NewAuthority(t, "NHS INT"), barstest.NewAuthority(t, "Other")
	var log bytes.Buffer
	now, path, logger := time.Now(), t.TempDir()+"/crl.pem", slog.New(slog.NewTextHandler(&log, nil))
	leaf := a.Issue(fqdn)
	read := func() (*bars.Revocations, error) {
		return bars.ReadRevocations([]string{path}, a.Chain(), now, logger)
	}
	if _, err := read(); err == nil {
		t.Error("a missing file: got no error")
	}
	other.Revoke(path, now.Add(time.Hour), leaf.Leaf)
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "by an authority of the chain") {
		t.Errorf("another authority's list: got error %v", err)
	}
	barstest.NewAuthority(t, "NHS INT").Revoke(path, now.Add(time.Hour), leaf.Leaf)
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "by an authority of the chain") {
		t.Errorf("a list of another authority of the same name: got error %v", err)
	}
	a.Revoke(path, now.Add(-time.Second))
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "list was due") {
		t.Errorf("an old list: got error %v", err)
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
		t.Errorf("a new list: got error %v, want a revoked certificate", err)
	}
	if block, _ := pem.Decode([]byte(readFile(t, path))); block == nil || os.WriteFile(path, append(block.Bytes, '\n'), 0o600) != nil {
		t.Fatal("cannot write the list in DER")
	}
	if _, err := read(); err != nil {
		t.Errorf("a list in DER: got error %v", err)
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute)
	if err := check(); err == nil {
		t.Error("after an unreadable list: want the last good one to stay in use")
	}
	for range 3 {
		now = now.Add(time.Hour)
		if err := check(); err == nil {
			t.Error("an overdue list: want it to stay in use")
		}
	}
	if n := strings.Count(log.String(), "revocation list expired"); n != 1 {
		t.Errorf("got %d log lines about the overdue list, want one:\n%s", n, &log)
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
			t.Errorf("%s on %s: got error %v", c.allowed, c.environment, err)
		}
	}
	if _, err := bars.ParseEgress("proxy.example.nhs.uk"); err == nil {
		t.Error("ParseEgress of a name: got no error")
	}
	for environment, want := range map[bars.Environment]string{
		bars.Integration: "[35.197.254.55/32 35.246.55.143/32]", bars.Production: "[34.89.0.111/32 34.89.69.6/32]", "sandbox": "[]",
	} {
		if got := fmt.Sprint(bars.Egress(environment)); got != want {
			t.Errorf("the proxy of %s: got addresses %s, want %s", environment, got, want)
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

// A request requires an RSA key of at least 2048 bits (BAR-4.5).
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
			t.Errorf("%T: got error %v", key, err)
		}
	}
}

func TestCertificateNames(t *testing.T) {
	a, other := barstest.NewAuthority(t, "NHS INT"), barstest.NewAuthority(t, "Other")
	leaf := a.Issue("BaRS-INT-X26.Supplier.thirdparty.nhs.uk")
	if err := bars.CheckNames(leaf.Leaf, fqdn); err != nil {
		t.Errorf("names that differ only in case: got error %v", err)
	}
	for says, option := range map[string]barstest.Option{
		"does not name":                  func(c *x509.Certificate) { c.DNSNames = []string{"other.nhs.uk"} },
		"has no CN":                      func(c *x509.Certificate) { c.Subject.CommonName = "" },
		"CN is other":                    func(c *x509.Certificate) { c.Subject.CommonName = "other" },
		"more subject alternative names": func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "more.nhs.uk") },
		"want no other":                  func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} },
	} {
		if err := bars.CheckNames(a.Issue(fqdn, option).Leaf, fqdn); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got error %v, want one containing %q", err, says)
		}
	}
	file := []*x509.Certificate{leaf.Leaf, a.Sub}
	if err := bars.CheckIssued(file, a.Chain()); err != nil {
		t.Error(err)
	}
	if err := bars.CheckIssued(file, other.Chain()); err == nil {
		t.Error("another authority's certificate: got no error")
	}
	if err := bars.CheckIssued(nil, a.Chain()); err == nil {
		t.Error("no certificate: got no error")
	}
}
