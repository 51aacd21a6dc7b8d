package command

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
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
	}{
		"nothing":             {func(*doctorWorld) {}, "", "", false},
		"the clock is behind": {func(w *doctorWorld) { w.skew = time.Minute }, "clock", "behind", false},
		"the clock is ahead":  {func(w *doctorWorld) { w.skew = -time.Minute }, "clock", "ahead of", false},
		"the clock drifts":    {func(w *doctorWorld) { w.skew = 15 * time.Second }, "clock", "behind", true},
		"no Date":             {func(w *doctorWorld) { w.noDate = true }, "clock", "does not tell the time", true},
		"the key of another environment": {func(w *doctorWorld) {
			w.args["kid"] = "MySupplier-PROD-1"
			signer, _ := jwks.ParseSigner(w.args["kid"], longKeys()[0].MarshalPEM())
			set, _ := signer.PublicSet()
			w.keys, w.args["jwks"] = keysOf{signer}, write(w.t, w.dir, "jwks.json", string(set))
		}, "kid", "names PROD, and the sender is on INT", true},
		"no private key":        {func(w *doctorWorld) { w.args["key"] = "none.pem" }, "private key", "no such file", false},
		"a key for all to read": {func(w *doctorWorld) { _ = os.Chmod(w.args["key"], 0o644) }, "private key", "mode 0644", true},
		"another key published": {func(w *doctorWorld) {
			set, _ := longKeys()[1].PublicSet()
			w.args["jwks"] = write(w.t, w.dir, "jwks.json", string(set))
		}, "published key", "another key under this kid", false},
		"not published": {func(w *doctorWorld) { w.args["jwks"] = write(w.t, w.dir, "jwks.json", `{"keys":[]}`) }, "published key", "", false},
		"private members published": {func(w *doctorWorld) {
			w.args["jwks"] = write(w.t, w.dir, "jwks.json", strings.Replace(read(w.t, w.args["jwks"]), `"kty"`, `"d":"AQAB","kty"`, 1))
		}, "published key", "private", false},
		"key set away":        {func(w *doctorWorld) { w.args["jwks"] = "http://127.0.0.1:1/jwks.json" }, "published key", "refused", false},
		"token service away":  {func(w *doctorWorld) { w.args["token-url"] = "http://127.0.0.1:1/token" }, "egress", "refused", false},
		"unknown application": {func(w *doctorWorld) { w.args["client"] = "other" }, "token", "Invalid 'iss'/'sub'", false},
		"no product":          {func(w *doctorWorld) { w.clients["api-key"] = oauth.Client{} }, "token", "not configured to use this authorization grant type", false},
		"kid not registered":  {func(w *doctorWorld) { w.keys = failingKeys{jwks.ErrUnknownKID} }, "token", "no matching public key", false},
		"no key registered":   {func(w *doctorWorld) { w.keys = failingKeys{jwks.ErrNoKeys} }, "token", "register a public key", false},
		"another key registered": {func(w *doctorWorld) {
			w.keys = keysOf{longKeys()[1]}
		}, "token", "signature verification failed", false},
		"wrong path": {func(w *doctorWorld) {
			w.args["token-url"] = strings.Replace(w.args["token-url"], "/token", "/tokens", 1)
		}, "token", "404", false},

		"name of the other environment": {func(w *doctorWorld) { w.args["fqdn"] = strings.Replace(patientFQDN, "int", "prod", 1) }, "fqdn", "of the prod environment", false},
		"no DNS":                        {func(w *doctorWorld) { clear(w.resolves) }, "dns", "does not resolve", false},
		"private DNS":                   {func(w *doctorWorld) { w.resolves[patientFQDN] = "10.1.2.3" }, "dns", "cannot reach", false},
		"other DNS":                     {func(w *doctorWorld) { w.resolves[patientFQDN] = "203.0.113.8" }, "dns", "not to 203.0.113.7", false},
		"no chain":                      {func(w *doctorWorld) { w.args["chain"] = "" }, "chain", "no chain is named", false},
		"another environment's chain": {func(w *doctorWorld) {
			w.args["chain"] = "../testdata/bars/prod.pem"
		}, "chain", "of the prod environment", false},
		"another authority's certificate": {func(w *doctorWorld) { w.issue(barstest.NewAuthority(w.t, "NHS INT"), false) }, "issuer", "not vouched for", false},
		"another CN": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, func(c *x509.Certificate) { c.Subject.CommonName = "other" })
		}, "certificate names", "CN is other", false},
		"two SANs": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "b.nhs.uk") })
		}, "certificate names", "more subject alternative names", false},
		"another SAN": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, func(c *x509.Certificate) { c.DNSNames = []string{"b.nhs.uk"} })
		}, "certificate names", "does not name", false},
		"another TLS key": {func(w *doctorWorld) {
			_, w.args["tls-key"] = barstest.Write(w.t, w.dir, "third", barstest.NewAuthority(w.t, "X").Issue(patientFQDN))
		}, "certificate key", "does not match", false},
		"leaf expired": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, barstest.Valid(time.Now().Add(-2*day), time.Now().Add(-time.Minute)))
		}, "leaf expiry", "has expired", false},
		"CA expired": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT", barstest.Valid(time.Now().Add(-2*day), time.Now().Add(-time.Minute))), true)
		}, "CA expiry", "has expired", false},
		"CA expires": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT", barstest.Valid(time.Now().Add(-2*day), time.Now().Add(20*day))), true)
		}, "CA expiry", "is valid until", true},
		"a short key": {func(w *doctorWorld) {
			short, _ := jwks.ParseSigner(patientKID, shortKey().MarshalPEM())
			set, _ := short.PublicSet()
			w.keys, w.args["key"], w.args["jwks"] = keysOf{short}, write(w.t, w.dir, "short.pem", string(short.MarshalPEM())), write(w.t, w.dir, "jwks.json", string(set))
		}, "private key", "2048 bits", true},
		"leaf expires": {func(w *doctorWorld) {
			w.issue(barstest.NewAuthority(w.t, "NHS INT"), true, barstest.Valid(time.Now().Add(-2*day), time.Now().Add(20*day)))
		}, "leaf expiry", "is valid until", true},
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
				if f.Check == c.check && strings.Contains(f.Found, c.found) && (f.Condition == conditionWarning) == c.warns {
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
	mustSay(t, w.examine().stdout, "not to 203.0.113.8", "no chain is named", patientKID+".pem")

	for says, args := range map[string][]string{
		"is about int, and --environment says prod": {"--dir", dir, "--environment", "prod"},
		"nothing to look at":                        nil,
		"give --environment":                        {"--fqdn", patientFQDN},
		"--config":                                  {"--config", filepath.Join(dir, "none")},
		"environment \"live\"":                      {"--environment", "live", "--key", "a.pem"},
		"--dir":                                     {"--dir", filepath.Join(dir, "none")},
	} {
		if said := execute(t, doctorCommand(), args...); said.err == nil || !strings.Contains(said.err.Error(), says) {
			t.Errorf("%v: %v", args, said.err)
		}
	}
	text := execute(t, (&doctorRun{resolve: w.resolve}).command(), "--dir", dir)
	mustSay(t, text.stdout, "failed", "What to do: have the record made", "checks: ")
}
