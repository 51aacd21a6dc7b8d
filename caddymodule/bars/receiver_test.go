package bars

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/bars/barstest"
	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/metrics"
	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
)

// TestReceiverSite checks connection policies that only JSON can express.
func TestReceiverSite(t *testing.T) {
	const name = "bars-int-x26.mysupplier.thirdparty.nhs.uk"
	const verifiers = `"verifiers":[{"verifier":"bars","chain":["int.pem"]}]`
	const auth = `"client_authentication":{"ca":{"provider":"file","pem_files":["int.pem"]},` + verifiers + `}`
	for policies, says := range map[string]string{
		`[{` + auth + `}]`: "",
		`[{"match":{"sni":["other.nhs.uk"]}},{` + auth + `}]`:                               "",
		`[{"match":{"sni":["*.mysupplier.thirdparty.nhs.uk"]},` + auth + `},{}]`:            "",
		`[{"match":{"sni":["BaRS-INT-X26.MySupplier.thirdparty.nhs.uk"]},` + auth + `},{}]`: "",

		`[]`: "no TLS connection policy for",
		`[{"match":{"sni":["other.nhs.uk"]},` + auth + `}]`: "no TLS connection policy for",
		`[{}]`: "requires no client certificate",
		`[{"match":{"sni":["*.mysupplier.thirdparty.nhs.uk"]}},{` + auth + `}]`:                                                             "requires no client certificate",
		`[{"match":{"sni":["*.*.thirdparty.nhs.uk"]}},{` + auth + `}]`:                                                                      "requires no client certificate",
		`[{"match":{"sni":["{env.NAME}"]}},{` + auth + `}]`:                                                                                 "requires no client certificate",
		`[{"match":{"remote_ip":{"ranges":["10.0.0.0/8"]}}},{` + auth + `}]`:                                                                "requires no client certificate",
		`[{"match":{"remote_ip":{"ranges":["10.0.0.0/8"]}},` + auth + `}]`:                                                                  "no TLS connection policy for",
		`[{"client_authentication":{` + verifiers + `}}]`:                                                                                   "has no trust_pool",
		`[{"client_authentication":{"ca":{"provider":"system"},` + verifiers + `}}]`:                                                        "trusts the system's authorities",
		`[{"client_authentication":{"mode":"require","ca":{"provider":"file"},` + verifiers + `}}]`:                                         "a receiver needs require_and_verify",
		`[{"client_authentication":{"mode":"verify_if_given","ca":{"provider":"file"},` + verifiers + `}}]`:                                 "a receiver needs require_and_verify",
		`[{"client_authentication":{"ca":{"provider":"file"}}}]`:                                                                            "has no verifier bars",
		`[{"client_authentication":{"ca":{"provider":"file"},"verifiers":[{"verifier":"bars","chain":["other.pem"]}]}}]`:                    "has no verifier bars",
		`[{"client_authentication":{"ca":{"provider":"file"},"verifiers":[{"verifier":"bars","environment":"prod","chain":["int.pem"]}]}}]`: "has no verifier bars",
		`[{"cipher_suites":["TLS_RSA_WITH_AES_128_GCM_SHA256"],` + auth + `}]`:                                                              "ECDHE suites only",
		`[{"cipher_suites":["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],` + auth + `}]`:                                                        "",
	} {
		server := &caddyhttp.Server{StrictSNIHost: new(bool)}
		*server.StrictSNIHost = true
		if err := json.Unmarshal([]byte(policies), &server.TLSConnPolicies); err != nil {
			t.Fatal(policies, err)
		}
		site := receiverSite{server, ReceiverTrust{Environment: caddymodule.Integration, Chain: []string{"int.pem"}}, &caddymodule.App{Environment: caddymodule.Integration}}
		err := site.check([]string{name})
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%s\ngot error %v, want %q", policies, err, says)
		}
		*server.StrictSNIHost = false
		if err := site.check([]string{name}); err == nil || !strings.Contains(err.Error(), "strict_sni_host") {
			t.Errorf("without strict_sni_host: got error %v", err)
		}
	}
	server := &caddyhttp.Server{StrictSNIHost: new(bool), TLSConnPolicies: caddytls.ConnectionPolicies{{InsecureSecretsLog: "/tmp/secrets"}}}
	*server.StrictSNIHost = true
	var authentication struct {
		C *caddytls.ClientAuthentication `json:"client_authentication"`
	}
	if err := json.Unmarshal([]byte(`{`+auth+`}`), &authentication); err != nil {
		t.Fatal(err)
	}
	server.TLSConnPolicies[0].ClientAuthentication = authentication.C
	site := receiverSite{server, ReceiverTrust{Environment: caddymodule.Production, Chain: []string{"int.pem"}}, &caddymodule.App{Environment: caddymodule.Production}}
	if err := site.check([]string{name}); err == nil || !strings.Contains(err.Error(), "insecure_secrets_log") {
		t.Errorf("insecure_secrets_log: got error %v", err)
	}
}

// TestForgedHeaders checks that no caller's claim about its certificate reaches the system behind.
func TestForgedHeaders(t *testing.T) {
	header := http.Header{}
	for _, name := range []string{
		"X-Client-Cert", "Client-Cert", "Client-Cert-Chain", "X-Forwarded-Client-Cert", "X-SSL-Client-Cert", "X-SSL-Client-S-DN", "SSL_CLIENT_VERIFY",
		"X-Client-Verify", "X-ARR-ClientCert", "X-Amzn-Mtls-Clientcert-Subject", "X-TLS-Client-Subject", "x-client-certificate", "X-Client-DN", "X.Client.Cert",
		"X-SSL-Cert", "SSL-Certificate", "X-SSL-Subject", "X-SSL-Issuer-DN", "X-SSL-CN", "X-TLS-Cert-Hash", "X-TLS-Verified", "X-Client-CN", "X-Client-SAN",
		"X-Client-Serial", "X-Client-Fingerprint", "X-Cert-Subject", "X-Certificate-Thumbprint", "X-Peer-Certificate", "X-Auth-Cert", "X-MTLS-Verified", "XFCC",
		"X-Subject-DN", "X-Peer-Subject", "X-Peer-DN", "Peer-Identity", "X-Subject", "X-Issuer-DN", "X-Spiffe-Id", "X-Remote-User", "X-X509-Name",
	} {
		header[http.CanonicalHeaderKey(name)] = []string{"forged"}
		header[name] = []string{"forged"}
	}
	kept := []string{"X-Request-Id", "Nhsd-Target-Identifier", "X-Client-Version", "Accept", "Nhsd-End-User-Organisation", "X-Forwarded-Ssl", "X-Client-Id", "Strict-Transport-Security"}
	for _, name := range kept {
		header.Set(name, "kept")
	}
	dropForged(header)
	if len(header) != len(kept) {
		t.Errorf("got headers %v, want the claims dropped", header)
	}
	for _, name := range kept {
		if header.Get(name) != "kept" {
			t.Errorf("%s was dropped, want it kept", name)
		}
	}
}

// TestReceiverFailures checks what a proxy is told of each failure behind the receiver.
func TestReceiverFailures(t *testing.T) {
	for _, c := range []struct {
		err    error
		late   bool
		status int
		code   string
	}{
		{caddyhttp.Error(http.StatusBadGateway, errors.New("refused")), false, 503, "REC_SERVICE_UNAVAILABLE"},
		{caddyhttp.Error(http.StatusServiceUnavailable, errors.New("no upstreams")), false, 503, "REC_SERVICE_UNAVAILABLE"},
		{caddyhttp.Error(http.StatusGatewayTimeout, errors.New("timeout")), false, 408, "REC_TIMEOUT"},
		{caddyhttp.Error(http.StatusBadGateway, errors.New("cut")), true, 408, "REC_TIMEOUT"},
		{caddyhttp.Error(http.StatusRequestEntityTooLarge, errors.New("large")), false, 413, "REC_BAD_REQUEST"},
		{caddyhttp.Error(http.StatusForbidden, errors.New("no")), false, 500, "REC_SERVER_ERROR"},
		{errors.New("unforeseen"), false, 500, "REC_SERVER_ERROR"},
		{nil, false, 500, "REC_SERVER_ERROR"}, // no handler answered
	} {
		outcome := failureOf(c.err, c.late, time.Second)
		if outcome.Status != c.status || outcome.Code != c.code || outcome.Fault == "" || outcome.Issue == "" || outcome.Text == "" {
			t.Errorf("error %v: got outcome %+v", c.err, outcome)
		}
		name := map[int]string{408: "ReceiverTimedOut", 413: "ReceiverRefusesRequest", 500: "ReceiverFailed", 503: "ReceiverUnavailable"}[outcome.Status]
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		outcome.Write(w, r)
		descriptiontest.MustAnswerAs(t, "../../bars/openapi/openapi.json", name, r, w)
	}
}

// TestReceiverAddress checks who may call, by the TCP peer or by the address the server takes from its load balancer.
func TestReceiverAddress(t *testing.T) {
	rc := &Receiver{ReceiverTrust: ReceiverTrust{Environment: caddymodule.Integration}}
	var err error
	if rc.allowed, err = rc.Allowed(); err != nil {
		t.Fatal(err)
	}
	ask := func(peer, client string) error {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", "35.197.254.55")
		r = r.WithContext(contextWithVars(r, client))
		return rc.checkAddress(r)
	}
	for peer, good := range map[string]bool{
		"35.197.254.55:4711": true, "[::ffff:35.246.55.143]:1": true, "34.89.0.111:4711": false, "127.0.0.1:1": false, "35.197.254.56:1": false, "": false, "@": false,
	} {
		if err := ask(peer, "35.197.254.55"); (err == nil) != good {
			t.Errorf("peer %s: got error %v", peer, err)
		}
	}
	rc.ClientIP = true
	for client, good := range map[string]bool{"35.197.254.55": true, "10.0.0.1": false, "": false} {
		if err := ask("10.0.0.1:1", client); (err == nil) != good {
			t.Errorf("client %s: got error %v", client, err)
		}
	}
}

func contextWithVars(r *http.Request, client string) context.Context {
	ctx := context.WithValue(r.Context(), caddyhttp.VarsCtxKey, map[string]any{})
	caddyhttp.SetVar(ctx, caddyhttp.ClientIPVarKey, client)
	return ctx
}

// TestReceiverFailsClosed tests the handler alone, behind a policy that admits everybody: it refuses what the
// connection does not prove, whatever the headers say.
func TestReceiverFailsClosed(t *testing.T) {
	authority, stranger := barstest.NewAuthority(t, "NHS INT"), barstest.NewAuthority(t, "Somebody")
	trust, err := bars.NewTrust(bars.TrustOptions{Environment: bars.Integration, Chain: authority.Chain()})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	rc := &Receiver{
		trust: trust, metrics: metrics.New(func() metrics.Standing { return nil }), logger: slog.New(slog.NewTextHandler(&log, nil)), Timeout: caddy.Duration(time.Second), Health: "/health",
		expiry: &expiryWatch{logger: slog.New(slog.DiscardHandler), now: time.Now},
	}
	right := authority.Issue("proxy")
	verified := func(a *barstest.Authority, leaf *x509.Certificate) *tls.ConnectionState {
		return &tls.ConnectionState{
			Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, ServerName: "receiver.nhs.uk",
			PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, a.Sub, a.Root}},
		}
	}
	unverified := verified(authority, right.Leaf)
	unverified.VerifiedChains = nil
	misnamed := verified(authority, right.Leaf)
	misnamed.ServerName = "www.nhs.uk"
	shouted := verified(authority, right.Leaf)
	shouted.ServerName = "Receiver.NHS.uk"
	for what, c := range map[string]struct {
		state  *tls.ConnectionState
		passes bool
	}{
		"right":            {verified(authority, right.Leaf), true},
		"in another case":  {shouted, true},
		"plain HTTP":       {nil, false},
		"not verified":     {unverified, false},
		"the system's own": {verified(stranger, stranger.Issue("proxy").Leaf), false},
		"SNI is another":   {misnamed, false},
	} {
		log.Reset()
		probe, answered := httptest.NewRequest(http.MethodGet, "https://receiver.nhs.uk/health", nil), httptest.NewRecorder()
		probe.TLS = c.state
		if err := rc.ServeHTTP(answered, probe, nil); err != nil || answered.Code != map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[c.passes] {
			t.Errorf("%s: a probe got status %d, error %v", what, answered.Code, err)
		}
		if strings.Contains(log.String(), "fault=proxy") == c.passes {
			t.Errorf("%s: got log\n%s", what, &log)
		}
		r := httptest.NewRequest(http.MethodGet, "https://receiver.nhs.uk:8443/FHIR/R4/metadata", nil)
		r.TLS = c.state
		r.Header.Set("X-Client-Cert", "forged")
		r.Header.Set("X-Request-Id", "1")
		r.Header.Set("X-Correlation-Id", "2")
		w, passed := httptest.NewRecorder(), false
		err := rc.ServeHTTP(w, r, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			passed = r.Header.Get("X-Client-Cert") == ""
			w.WriteHeader(http.StatusOK)
			return nil
		}))
		if err != nil || passed != c.passes || !c.passes && (w.Code != http.StatusForbidden || !bars.IsOutcome(w.Body.Bytes())) || w.Header().Get("X-Request-Id") != "1" || w.Header().Get("X-Correlation-Id") != "2" {
			t.Errorf("%s: got passed %v, status %d, body %s, error %v", what, passed, w.Code, w.Body, err)
		}
	}
}

// TestReceiverTells checks that the log names whose fault a failure behind the receiver is, and that a system's 403
// is replaced, because 403 is reserved for TLS-MA.
func TestReceiverTells(t *testing.T) {
	authority := barstest.NewAuthority(t, "NHS INT")
	trust, err := bars.NewTrust(bars.TrustOptions{Environment: bars.Integration, Chain: authority.Chain()})
	if err != nil {
		t.Fatal(err)
	}
	leaf := authority.Issue("proxy").Leaf
	for name, c := range map[string]struct {
		system caddyhttp.HandlerFunc
		status int
		fault  string
	}{
		"fails":     {func(http.ResponseWriter, *http.Request) error { return errors.New("away") }, 500, "fault=receiver"},
		"refuses":   {func(http.ResponseWriter, *http.Request) error { return caddyhttp.Error(413, errors.New("large")) }, 413, "fault=sender"},
		"is late":   {func(_ http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); return r.Context().Err() }, 408, "fault=receiver"},
		"says 403":  {func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(403); return nil }, 422, "fault=receiver"},
		"says 404":  {func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(404); return nil }, 404, ""},
		"says that": {func(w http.ResponseWriter, _ *http.Request) error { _, err := w.Write([]byte("ok")); return err }, 200, ""},
	} {
		var log bytes.Buffer
		rc := &Receiver{
			trust: trust, metrics: metrics.New(func() metrics.Standing { return nil }), logger: slog.New(slog.NewTextHandler(&log, nil)),
			Timeout: caddy.Duration(time.Hour), expiry: &expiryWatch{logger: discard(), now: time.Now},
		}
		if c.status == http.StatusRequestTimeout {
			rc.Timeout = caddy.Duration(time.Millisecond)
		}
		r, w := httptest.NewRequest(http.MethodGet, "https://receiver.nhs.uk/FHIR/R4/metadata", nil), httptest.NewRecorder()
		r.TLS = &tls.ConnectionState{
			Version: tls.VersionTLS13, CipherSuite: tls.TLS_AES_128_GCM_SHA256, ServerName: "receiver.nhs.uk",
			PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf, authority.Sub, authority.Root}},
		}
		r.Header.Set("X-Request-Id", "1")
		r.Header.Set("X-Correlation-Id", "2")
		if err := rc.ServeHTTP(w, r, c.system); err != nil || w.Code != c.status || w.Header().Get("X-Request-Id") != "1" || w.Header().Get("X-Correlation-Id") != "2" {
			t.Errorf("a system that %s: got error %v, status %d, headers %v", name, err, w.Code, w.Header())
		}
		if (log.Len() > 0) != (c.fault != "") || !strings.Contains(log.String(), c.fault) {
			t.Errorf("a system that %s: got log %q", name, &log)
		}
	}
}

// TestReceiverCertificate checks that the system's own certificate must match its names and chain before anything
// listens.
func TestReceiverCertificate(t *testing.T) {
	const name = "bars-int-x26.mysupplier.thirdparty.nhs.uk"
	authority, other := barstest.NewAuthority(t, "NHS INT"), barstest.NewAuthority(t, "NHS INT Other")
	trust, err := bars.NewTrust(bars.TrustOptions{Environment: bars.Integration, Chain: authority.Chain()})
	if err != nil {
		t.Fatal(err)
	}
	twoNames := func(c *x509.Certificate) { c.DNSNames = append(c.DNSNames, "more.nhs.uk") }
	for what, c := range map[string]struct {
		certificate tls.Certificate
		strict      bool
		says        string
	}{
		"right":                  {authority.Issue("BaRS-INT-X26.MySupplier.thirdparty.nhs.uk"), true, ""},
		"of another authority":   {other.Issue(name), false, "not issued by the environment's chain"},
		"of another name":        {authority.Issue("bars-int-x27.mysupplier.thirdparty.nhs.uk"), false, "does not name " + name},
		"of two names":           {authority.Issue(name, twoNames), false, ""},
		"of two names, strictly": {authority.Issue(name, twoNames), true, "want no other"},
	} {
		file, _ := barstest.Write(t, t.TempDir(), "receiver", c.certificate)
		rc := &Receiver{FQDN: []string{name}, Strict: c.strict, Certificate: file, trust: trust, logger: discard(), expiry: &expiryWatch{}}
		err := rc.provisionCertificate(&caddymodule.App{})
		if (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("a certificate %s: got error %v", what, err)
		}
		if err == nil && len(rc.expiry.certificates) != 1 {
			t.Errorf("a certificate %s is not watched for expiry", what)
		}
	}
}

// TestExpiryReminder checks that the log warns of expiring certificates once a day.
func TestExpiryReminder(t *testing.T) {
	now := time.Now()
	var log bytes.Buffer
	authority := barstest.NewAuthority(t, "NHS INT")
	watch := &expiryWatch{
		logger: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now },
		certificates: []*x509.Certificate{authority.Issue("receiver").Leaf}, // 90 days
	}
	for _, c := range []struct {
		later time.Duration
		says  string
	}{
		{0, ""}, {50 * 24 * time.Hour, ""}, {15 * 24 * time.Hour, "expires soon"}, {time.Hour, ""}, {24 * time.Hour, "expires soon"}, {30 * 24 * time.Hour, "certificate expired"},
	} {
		now = now.Add(c.later)
		log.Reset()
		watch.remind(t.Context())
		if said := log.String(); c.says == "" && said != "" || !strings.Contains(said, c.says) {
			t.Errorf("after %s: got %q, want %q", c.later, said, c.says)
		}
	}
}
