package command

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/bars/barstest"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// doctorWorld is a sender and a receiver that want for nothing, and everything around them. Each test breaks one
// thing in it.
type doctorWorld struct {
	t        *testing.T
	dir      string
	clients  map[string]oauth.Client
	keys     oauth.KeySource
	skew     time.Duration // of the token service's clock, as its Date tells
	noDate   bool
	resolves map[string]string
	args     map[string]string // flags
	more     []string
}

const (
	patientKID  = "MySupplier-INT-1"
	patientFQDN = "bars-int-x26.mysupplier.thirdparty.nhs.uk"
)

// longKeys are two of the length that the services ask for.
var longKeys = sync.OnceValue(func() []*jwks.Signer {
	var keys []*jwks.Signer
	for range 2 {
		private, err := jwks.GenerateRSA(4096, nil)
		if err != nil {
			panic(err)
		}
		signer, err := jwks.NewSigner(patientKID, private)
		if err != nil {
			panic(err)
		}
		keys = append(keys, signer)
	}
	return keys
})

func newDoctorWorld(t *testing.T) *doctorWorld {
	t.Helper()
	dir := t.TempDir()
	signer := longKeys()[0]
	w := &doctorWorld{
		t: t, dir: dir, clients: map[string]oauth.Client{"api-key": {Scopes: []string{bookingScope}}}, keys: keysOf{signer},
		resolves: map[string]string{patientFQDN: "203.0.113.7"},
	}
	service, err := oauth.New(oauth.Options{
		BaseURL: func(r *http.Request) (string, error) { return "http://" + r.Host, nil },
		Clients: w.clients, Keys: w, Store: memory.New(memory.Options{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(a http.ResponseWriter, r *http.Request) {
		a.Header().Set("Date", time.Now().Add(w.skew).UTC().Format(http.TimeFormat))
		if w.noDate {
			a.Header()["Date"] = nil
		}
		service.ServeHTTP(a, r)
	}))
	t.Cleanup(server.Close)
	authority := barstest.NewAuthority(t, "NHS INT")
	certificate, key := barstest.Write(t, dir, "receiver", authority.Issue(patientFQDN))
	set, err := signer.PublicSet()
	if err != nil {
		t.Fatal(err)
	}
	w.args = map[string]string{
		"environment": "int", "token-url": server.URL + "/token", "client": "api-key", "kid": patientKID, "key": write(t, dir, "key.pem", string(signer.MarshalPEM())),
		"jwks": write(t, dir, "jwks.json", string(set)), "fqdn": patientFQDN, "certificate": certificate, "tls-key": key,
		"chain": authority.WriteChain(filepath.Join(dir, "chain.pem")), "ip": "203.0.113.7",
	}
	return w
}

// Key implements oauth.KeySource with what the test left of them.
func (w *doctorWorld) Key(ctx context.Context, client, kid string) (*jwks.Key, error) {
	return w.keys.Key(ctx, client, kid)
}

func (w *doctorWorld) resolve(_ context.Context, _, host string) ([]netip.Addr, error) {
	if address := w.resolves[host]; address != "" {
		return []netip.Addr{netip.MustParseAddr(address)}, nil
	}
	return nil, errors.New("no such host")
}

func (w *doctorWorld) examine() outcome {
	w.t.Helper()
	args := append([]string{"--json"}, w.more...)
	for name, value := range w.args {
		if value != "" {
			args = append(args, "--"+name, value)
		}
	}
	return execute(w.t, (&doctorRun{resolve: w.resolve}).command(), args...)
}

// issue gives the receiver a certificate of an authority, and names its chain if so asked.
func (w *doctorWorld) issue(authority *barstest.Authority, chain bool, options ...barstest.Option) {
	w.args["certificate"], w.args["tls-key"] = barstest.Write(w.t, w.dir, "other", authority.Issue(patientFQDN, options...))
	if chain {
		w.args["chain"] = authority.WriteChain(filepath.Join(w.dir, "other-chain.pem"))
	}
}

type failingKeys struct{ err error }

func (f failingKeys) Key(context.Context, string, string) (*jwks.Key, error) { return nil, f.err }

// TestDoctor breaks one thing at a time, and holds that it is found, that nothing else is blamed for it, and that
// there is a fix.
func TestDoctor(t *testing.T) {
	day := 24 * time.Hour
	for what, c := range map[string]struct {
		harm  func(*doctorWorld)
		check string // that finds it; "" where nothing is wrong
		found string
		warns bool
		fix   string // a part of it
	}{
		"nothing":             {func(*doctorWorld) {}, "", "", false, ""},
		"the clock is behind": {func(w *doctorWorld) { w.skew = time.Minute }, "clock", "behind", false, "timedatectl set-ntp true"},
		"the clock is ahead":  {func(w *doctorWorld) { w.skew = -time.Minute }, "clock", "ahead of", false, "timedatectl set-ntp true"},
		"the clock drifts":    {func(w *doctorWorld) { w.skew = 15 * time.Second }, "clock", "behind", true, "keep it set"},
		"no Date":             {func(w *doctorWorld) { w.noDate = true }, "clock", "has no Date header", true, "by other means"},
		"the key of another environment": {func(w *doctorWorld) {
			w.args["kid"] = "MySupplier-PROD-1"
			signer, _ := jwks.ParseSigner(w.args["kid"], longKeys()[0].MarshalPEM())
			set, _ := signer.PublicSet()
			w.keys, w.args["jwks"] = keysOf{signer}, write(w.t, w.dir, "jwks.json", string(set))
		}, "kid", "names PROD, and the sender is on INT", true, "check that this is the key of INT"},
		"no private key":        {func(w *doctorWorld) { w.args["key"] = "none.pem" }, "private key", "no such file", false, "onboard key makes one"},
		"a key for all to read": {func(w *doctorWorld) { _ = os.Chmod(w.args["key"], 0o644) }, "private key", "mode 0644", true, "chmod 600"},
		"another key published": {func(w *doctorWorld) {
			set, _ := longKeys()[1].PublicSet()
			w.args["jwks"] = write(w.t, w.dir, "jwks.json", string(set))
		}, "published key", "another key under this kid", false, "use the private key of the published one"},
		"not published": {func(w *doctorWorld) { w.args["jwks"] = write(w.t, w.dir, "jwks.json", `{"keys":[]}`) }, "published key", "", false, "wait an hour"},
		"private members published": {func(w *doctorWorld) {
			w.args["jwks"] = write(w.t, w.dir, "jwks.json", strings.Replace(read(w.t, w.args["jwks"]), `"kty"`, `"d":"AQAB","kty"`, 1))
		}, "published key", "private", false, "without private members"},
		"key set away":        {func(w *doctorWorld) { w.args["jwks"] = "http://127.0.0.1:1/jwks.json" }, "published key", "refused", false, "publish the key set"},
		"token service away":  {func(w *doctorWorld) { w.args["token-url"] = "http://127.0.0.1:1/token" }, "egress", "refused", false, "look at firewall, proxy and DNS"},
		"unknown application": {func(w *doctorWorld) { w.args["client"] = "other" }, "token", "Invalid 'iss'/'sub'", false, "compare it with the developer portal"},
		"no product":          {func(w *doctorWorld) { w.clients["api-key"] = oauth.Client{} }, "token", "not configured to use this authorization grant type", false, "subscribe the application"},
		"kid not registered":  {func(w *doctorWorld) { w.keys = failingKeys{jwks.ErrUnknownKID} }, "token", "no matching public key", false, "wait an hour"},
		"no key registered":   {func(w *doctorWorld) { w.keys = failingKeys{jwks.ErrNoKeys} }, "token", "register a public key", false, "have its public key or key set URL registered"},
		"another key registered": {func(w *doctorWorld) {
			w.keys = keysOf{longKeys()[1]}
		}, "token", "signature verification failed", false, "the private key does not belong"},
		"wrong path": {func(w *doctorWorld) {
			w.args["token-url"] = strings.Replace(w.args["token-url"], "/token", "/tokens", 1)
		}, "token", "404", false, "there is no token service at this URL"},

		"name of the other environment": {func(w *doctorWorld) { w.args["fqdn"] = strings.Replace(patientFQDN, "int", "prod", 1) }, "fqdn", "of the prod environment", false, "environments are never mixed"},
		"no DNS":                        {func(w *doctorWorld) { clear(w.resolves) }, "dns", "does not resolve", false, "onboard dns --ip"},
		"private DNS":                   {func(w *doctorWorld) { w.resolves[patientFQDN] = "10.1.2.3" }, "dns", "cannot reach", false, "let it lead to the public address"},
		"other DNS":                     {func(w *doctorWorld) { w.resolves[patientFQDN] = "203.0.113.8" }, "dns", "not to 203.0.113.7", false, "onboard dns --ip"},
		"no chain":                      {func(w *doctorWorld) { w.args["chain"] = "" }, "chain", "no chain is configured", false, "name the PEM files"},
		"another environment's chain": {func(w *doctorWorld) {
			w.args["chain"] = "../testdata/bars/prod.pem"
		}, "chain", "of the prod environment", false, "root and sub certificates of int, and nothing else"},
		"another authority's certificate": {func(w *doctorWorld) { w.issue(barstest.NewAuthority(w.t, "NHS INT"), false) }, "issuer", "not issued by", false, "compare the environments of certificate and chain"},
		"another CN": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, func(c *x509.Certificate) { c.Subject.CommonName = "other" })
		}, "certificate names", "CN is other", false, "onboard csr"},
		"two SANs": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "b.nhs.uk") })
		}, "certificate names", "more subject alternative names", false, "onboard csr"},
		"another SAN": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, func(c *x509.Certificate) { c.DNSNames = []string{"b.nhs.uk"} })
		}, "certificate names", "does not name", false, "onboard csr"},
		"another TLS key": {func(w *doctorWorld) {
			_, w.args["tls-key"] = barstest.Write(w.t, w.dir, "third", barstest.NewAuthority(w.t, "X").Issue(patientFQDN))
		}, "certificate key", "does not match", false, "give the key that the request was made with"},
		"leaf expired": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, barstest.Valid(time.Now().Add(-2*day), time.Now().Add(-time.Minute)))
		}, "leaf expiry", "expired on", false, "make a new request"},
		"CA expired": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT", barstest.Valid(time.Now().Add(-2*day), time.Now().Add(-time.Minute))), true)
		}, "CA expiry", "expired on", false, "name both chains"},
		"CA expires": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT", barstest.Valid(time.Now().Add(-2*day), time.Now().Add(20*day))), true)
		}, "CA expiry", "is valid until", true, "name both chains"},
		"a short key": {func(w *doctorWorld) {
			short, _ := jwks.ParseSigner(patientKID, shortKey().MarshalPEM())
			set, _ := short.PublicSet()
			w.keys, w.args["key"], w.args["jwks"] = keysOf{short}, write(w.t, w.dir, "short.pem", string(short.MarshalPEM())), write(w.t, w.dir, "jwks.json", string(set))
		}, "private key", "2048 bits", true, "make the next one with 4096"},
		"leaf expires": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, barstest.Valid(time.Now().Add(-2*day), time.Now().Add(20*day)))
		}, "leaf expiry", "is valid until", true, "make a new request"},
		"published under another kid": {func(w *doctorWorld) {
			w.args["jwks"] = write(w.t, w.dir, "jwks.json", strings.Replace(read(w.t, w.args["jwks"]), patientKID, "MySupplier-INT-2", 1))
		}, "published key", "the kid is not in", false, "publish the key under this kid, wait an hour"},
		"DNS to this machine":       {func(w *doctorWorld) { w.resolves[patientFQDN] = "127.0.0.1" }, "dns", "cannot reach", false, "let it lead to the public address"},
		"DNS to the link":           {func(w *doctorWorld) { w.resolves[patientFQDN] = "fe80::1" }, "dns", "cannot reach", false, "let it lead to the public address"},
		"DNS to nowhere":            {func(w *doctorWorld) { w.resolves[patientFQDN] = "0.0.0.0" }, "dns", "cannot reach", false, "let it lead to the public address"},
		"no certificate":            {func(w *doctorWorld) { w.args["certificate"] = w.args["jwks"] }, "certificate", "no PEM certificate", false, "save the certificate as it was sent"},
		"a TLS key for all to read": {func(w *doctorWorld) { _ = os.Chmod(w.args["tls-key"], 0o644) }, "private key", "mode 0644", true, "chmod 600"},
		"leaf not valid yet": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, barstest.Valid(time.Now().Add(day), time.Now().Add(90*day)))
		}, "leaf expiry", "is not valid before", false, "check this machine's clock"},
	} {
		t.Run(what, func(t *testing.T) {
			w := newDoctorWorld(t)
			c.harm(w)
			said := w.examine()
			var answer struct {
				OK       bool
				Findings []finding
			}
			said.json(t, &answer)
			bad := c.check != "" && !c.warns
			if answer.OK == bad || errors.Is(said.err, errTold) != bad {
				t.Errorf("ok %v, error %v", answer.OK, said.err)
			}
			hit := c.check == ""
			for _, f := range answer.Findings {
				if f.Condition == conditionOK {
					continue
				}
				if f.Fix == "" || f.Of == "" {
					t.Errorf("names no fix: %+v", f)
				}
				if f.Check == c.check && strings.Contains(f.Found, c.found) && (f.Condition == conditionWarning) == c.warns && strings.Contains(f.Fix, c.fix) {
					hit = true
				} else if f.Check != c.check && !follows(c.check, f.Check) {
					t.Errorf("another check is bad too: %+v", f)
				}
			}
			if !hit {
				t.Errorf("not found by %s: %+v", c.check, answer.Findings)
			}
		})
	}
}

// follows are checks that cannot hold where another does not.
func follows(cause, check string) bool {
	switch cause {
	case "fqdn": // another name is neither in DNS nor in the certificate
		return check == "dns" || check == "certificate names"
	case "chain":
		return check == "issuer"
	}
	return false
}

// TestDoctorAlone holds what no world of a test can have: NHS England's own addresses, a proxy in between with a
// certificate of its own, and a list of revocations, which only a configuration names.
func TestDoctorAlone(t *testing.T) {
	found := func(check, says, fix string, look func(*doctor)) {
		t.Helper()
		d := newDoctor(http.DefaultClient)
		look(d)
		if len(d.findings) == 0 {
			t.Fatalf("%s finds nothing", check)
		}
		f := d.findings[len(d.findings)-1]
		if f.Check != check || !strings.Contains(f.Found, says) || !strings.Contains(f.Fix, fix) || (f.Condition == conditionOK) != (fix == "") {
			t.Errorf("%s: %+v, want %q and %q", check, f, says, fix)
		}
	}
	of := func(environment caddymodule.Environment) senderSubject {
		return senderSubject{environment: caddymodule.Integration, tokenURL: environment.TokenURL(), audience: environment.TokenURL()}
	}
	found("aud", "is the token URL", "", func(d *doctor) { d.audience(of(caddymodule.Integration)) })
	found("aud", "belongs to the prod environment, but this sender is in int", "set token URL and environment together", func(d *doctor) { d.audience(of(caddymodule.Production)) })

	between := httptest.NewUnstartedServer(http.NotFoundHandler())
	between.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake fails on purpose
	between.StartTLS()
	defer between.Close()
	found("egress", "certificate", "a proxy in between may have its own (--ca)", func(d *doctor) { d.clock(t.Context(), senderSubject{tokenURL: between.URL + "/token"}) })

	authority, path := barstest.NewAuthority(t, "NHS INT"), filepath.Join(t.TempDir(), "a.crl")
	subject := receiverSubject{environment: bars.Integration, chain: []string{authority.WriteChain(path + ".pem")}, crl: []string{path}}
	authority.Revoke(path, time.Now().Add(time.Hour))
	found("revocation", "1 lists", "", func(d *doctor) { d.chain("x", subject) })
	authority.Revoke(path, time.Now().Add(-time.Hour))
	found("revocation", "the next list was due", "fetch a current list", func(d *doctor) { d.chain("x", subject) })

	subject.addresses = []string{"any"}
	found("egress", "lets in any address", "", func(d *doctor) { d.receiver(t.Context(), subject) })
	subject.addresses = nil
	found("egress", "[35.197.254.55/32 35.246.55.143/32]", "", func(d *doctor) { d.receiver(t.Context(), subject) })
	subject.addresses = []string{"34.89.69.6"}
	found("egress", "an address of the prod environment's proxy", "leave proxy_addresses out", func(d *doctor) { d.receiver(t.Context(), subject) })

	six := func(d *doctor, ip string) {
		d.resolve = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("2001:db8::7")}, nil
		}
		d.dns(t.Context(), "x", ip)
	}
	found("dns", "leads to", "", func(d *doctor) { six(d, "2001:DB8:0::7") }) // as people write it
	found("dns", "not to 2001:db8::8", "onboard dns", func(d *doctor) { six(d, "2001:db8::8") })
}

// TestDoctorFindsAll holds that every key of a configuration is looked at: those of each provider, and those that follow.
func TestDoctorFindsAll(t *testing.T) {
	found, err := findPatients([]byte(`{"apps":{
		"countersign":{"environment":"int"},
		"tls":{"certificates":{"load_files":[{"certificate":"r.pem","key":"r.key"}]}},
		"http":{"servers":{"s":{"routes":[
			{"handle":[{"handler":"subroute","routes":[{"handle":[{"handler":"apim_sender","client":"one","provider":"{x}","providers":{
				"b":{"key":{"kid":"b-INT-1","path":"b1.pem"},"next":{"kid":"b-INT-2","path":"b2.pem"}},
				"a":{"client":"two","key":{"kid":"a-INT-1","path":"a1.pem"}}}}]}]}]},
			{"handle":[{"handler":"apim_sender","environment":"sandbox"}]},
			{"match":[{"host":["r.nhs.uk"]}],"handle":[{"handler":"bars_receiver","environment":"prod","certificate":"r.pem","chain":["c.pem"],"crl":["c.crl"],"proxy_addresses":["192.0.2.1"]}]}
		]}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var senders []string
	for _, s := range found.senders {
		senders = append(senders, strings.Join([]string{string(s.environment), s.client, s.kid, s.keyFile, s.tokenURL, s.audience}, " "))
	}
	const service = " https://int.api.service.nhs.uk/oauth2/token https://int.api.service.nhs.uk/oauth2/token"
	if want := []string{"int two a-INT-1 a1.pem" + service, "int one b-INT-1 b1.pem" + service, "int one b-INT-2 b2.pem" + service}; !slices.Equal(senders, want) {
		t.Errorf("senders %q", senders)
	}
	want := receiverSubject{
		environment: bars.Production, fqdn: []string{"r.nhs.uk"}, certificate: "r.pem", key: "r.key", chain: []string{"c.pem"}, crl: []string{"c.crl"}, addresses: []string{"192.0.2.1"},
	}
	if !reflect.DeepEqual(found.receivers, []receiverSubject{want}) {
		t.Errorf("receivers %+v", found.receivers)
	}
}

// TestDoctorAudience needs an aud of its own, which the token service refuses too.
func TestDoctorAudience(t *testing.T) {
	w := newDoctorWorld(t)
	w.args["audience"] = "https://elsewhere.example/token"
	said := w.examine()
	mustSay(t, said.stdout, `"check": "aud"`, "make them the same, letter by letter", "Missing or invalid 'aud' claim")
	w = newDoctorWorld(t)
	w.args["token-url"] = "https://api.service.nhs.uk.invalid/oauth2/token"
	w.args["audience"] = ""
	mustSay(t, w.examine().stdout, `"check": "egress"`)
}

// TestDoctorNames holds that a rule for names is a warning, and with --strict a failure.
func TestDoctorNames(t *testing.T) {
	for _, strict := range []bool{false, true} {
		w := newDoctorWorld(t)
		signer, _ := jwks.ParseSigner("test-1", longKeys()[0].MarshalPEM())
		set, _ := signer.PublicSet()
		w.keys, w.args["kid"], w.args["jwks"] = keysOf{signer}, "test-1", write(t, w.dir, "jwks.json", string(set))
		if strict {
			w.more = append(w.more, "--strict")
		}
		said := w.examine()
		if errors.Is(said.err, errTold) != strict {
			t.Errorf("strict %v: %v\n%s", strict, said.err, said.stdout)
		}
		mustSay(t, said.stdout, "fewer than three parts")
	}
}

// TestDoctorConfig looks at what a Caddyfile configures, and at what onboarding.json knows.
func TestDoctorConfig(t *testing.T) {
	w := newDoctorWorld(t)
	config := write(t, w.dir, "Caddyfile", fmt.Sprintf(`{
	countersign {
		environment int
	}
}
http://localhost:8080 {
	apim_sender {
		token_url %s
		client api-key
		key %s %s
	}
	reverse_proxy localhost:9000
}
https://%s {
	bars_receiver {
		certificate %s %s
		chain %s
		proxy_addresses 34.89.0.111
	}
	reverse_proxy localhost:9000
}
`, w.args["token-url"], patientKID, w.args["key"], patientFQDN, w.args["certificate"], w.args["tls-key"], w.args["chain"]))
	set := w.args["jwks"]
	w.args = map[string]string{"config": config, "jwks": set}
	said := w.examine()
	var answer struct {
		OK       bool
		Findings []finding
	}
	said.json(t, &answer)
	seen := map[string]condition{}
	for _, f := range answer.Findings {
		seen[f.Check+" "+f.Of] = f.Condition
	}
	for _, check := range []string{"kid", "private key", "published key", "aud", "clock", "token", "egress"} {
		if seen[check+" "+patientKID] != conditionOK {
			t.Errorf("%s: %v", check, seen)
		}
	}
	for _, check := range []string{"fqdn", "dns", "chain", "certificate names", "certificate key", "issuer", "leaf expiry", "CA expiry"} {
		if seen[check+" "+patientFQDN] != conditionOK {
			t.Errorf("%s: %v", check, seen)
		}
	}
	if seen["egress "+patientFQDN] != conditionFailed || answer.OK {
		t.Errorf("PROD addresses on INT: %v", seen)
	}

	dir := t.TempDir()
	execute(t, onboardCommand(), "portal", "--environment", "int", "--name", "MySupplier", "--fqdn", patientFQDN, "--ip", "203.0.113.8", "--dir", dir)
	w.args = map[string]string{"dir": dir}
	mustSay(t, w.examine().stdout, "not to 203.0.113.8", "no chain is configured", patientKID+".pem")

	for says, args := range map[string][]string{
		"is for int, but --environment is prod": {"--dir", dir, "--environment", "prod"},
		"nothing to check":                      nil,
		"give --environment":                    {"--fqdn", patientFQDN},
		"--config":                              {"--config", filepath.Join(dir, "none")},
		"environment \"live\"":                  {"--environment", "live", "--key", "a.pem"},
		"--dir":                                 {"--dir", filepath.Join(dir, "none")},
	} {
		if said := execute(t, doctorCommand(), args...); said.err == nil || !strings.Contains(said.err.Error(), says) {
			t.Errorf("%v: %v", args, said.err)
		}
	}
	text := execute(t, (&doctorRun{resolve: w.resolve}).command(), "--dir", dir)
	mustSay(t, text.stdout, "failed", "What to do: have the record made", "checks: ")
}

// An answer that took long says nothing about a clock that may be right.
func TestSkewOf(t *testing.T) {
	there := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct{ before, after, want time.Duration }{
		{0, 0, 0},
		{900 * time.Millisecond, time.Second, 0}, // Date has no fractions
		{-20 * time.Second, 40 * time.Second, 0},
		{-20 * time.Second, -16 * time.Second, -16 * time.Second},
		{11 * time.Second, 40 * time.Second, 10 * time.Second},
		{-time.Minute, -time.Minute, -time.Minute},
	} {
		if got := skewOf(there.Add(c.before), there.Add(c.after), there); got != c.want {
			t.Errorf("asked from %s to %s: %s, want %s", c.before, c.after, got, c.want)
		}
	}
}
