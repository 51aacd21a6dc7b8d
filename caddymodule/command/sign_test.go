package command

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/jwks"
)

// signatory is a Signing Service of the tests: it takes a request, answers some fetches as a service does before a
// person has signed, and then signs.
type signatory struct {
	*httptest.Server
	key         *rsa.PrivateKey
	certificate []byte

	mu       sync.Mutex
	payloads []client.Payload
	bearers  []string
	answers  []string // codes of the fetches before the signatures
	tamper   bool
}

func newSignatory(t *testing.T) *signatory {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "555086689106_TEST"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := &signatory{key: key, certificate: der}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /signaturerequest", s.take)
	mux.HandleFunc("GET /signatureresponse/{token}", s.release)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *signatory) take(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bearers = append(s.bearers, r.Header.Get("Authorization"))
	buf := make([]byte, r.ContentLength)
	_, _ = r.Body.Read(buf)
	var claims struct{ Payloads []client.Payload }
	part, _ := base64.RawURLEncoding.DecodeString(strings.Split(string(buf), ".")[1])
	if err := json.Unmarshal(part, &claims); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.payloads = claims.Payloads
	fmt.Fprintf(w, `{"token":"f523a772-24f2-45d6-a8da-59b48de0231a","redirectUri":"%s/client?token=f523a772-24f2-45d6-a8da-59b48de0231a"}`, s.URL)
}

func (s *signatory) release(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.answers) > 0 {
		code := s.answers[0]
		s.answers = s.answers[1:]
		status := map[string]int{"not_opened": 400, "not_signed": 404, "unavailable": 503, "cancelled": 410}[code]
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"statusCode":%d,"message":"The signature request has been %s","code":"%s","requestId":"req-9"}`, status, code, code)
		return
	}
	response := client.Response{Certificate: base64.StdEncoding.EncodeToString(s.certificate)}
	for _, p := range s.payloads {
		payload, _ := base64.StdEncoding.DecodeString(p.Payload)
		if s.tamper {
			payload = append(payload, '!')
		}
		sum := sha256.Sum256(payload)
		signature, _ := rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, sum[:])
		response.Signatures = append(response.Signatures, client.Signature{ID: p.ID, Signature: base64.StdEncoding.EncodeToString(signature)})
	}
	_ = json.NewEncoder(w).Encode(response)
}

// desk is a directory with a client's key and files to be signed.
type desk struct {
	dir  string
	args []string // what every sign of it needs
}

func newDesk(t *testing.T, service string) desk {
	t.Helper()
	d := desk{dir: t.TempDir()}
	key, err := jwks.GenerateRSA(2048, nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jwks.NewSigner("acme-1", key)
	if err != nil {
		t.Fatal(err)
	}
	d.args = []string{"--url", service, "--client", "acme", "--kid", "acme-1", "--sub", "555086689106",
		"--key", d.file(t, "key.pem", signer.MarshalPEM()), "--out", d.path("out.json")}
	return d
}

func (d desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d desk) file(t *testing.T, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(d.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return d.path(name)
}

// prepared is a saved answer of $prepare.
func (d desk) prepared(t *testing.T, name, id, algorithm string) string {
	t.Helper()
	info, _, err := client.SignedInfo(algorithm, []byte(name))
	if err != nil {
		t.Fatal(err)
	}
	return d.file(t, name, fmt.Appendf(nil, `{"resourceType":"Parameters","id":%q,"parameter":[{"name":"digest","valueString":%q},
		{"name":"timestamp","valueString":"2026-11-22T10:00:00Z"},{"name":"algorithm","valueString":%q},{"name":"display","valueString":"Rx"}]}`,
		id, base64.StdEncoding.EncodeToString(info), algorithm))
}

func (d desk) sign(t *testing.T, browse func(context.Context, string) error, args ...string) outcome {
	t.Helper()
	return execute(t, newSignCommand(browse, time.Millisecond), append(d.args, args...)...)
}

// TestSign has files signed by a person in a browser, and verifies what was saved.
func TestSign(t *testing.T) {
	service := newSignatory(t)
	service.answers = []string{"not_opened", "not_signed", "unavailable", "not_signed"}
	d := newDesk(t, service.URL)
	t.Setenv("COUNTERSIGN_BEARER", "let-me-in")
	var opened string
	said := d.sign(t, func(_ context.Context, address string) error { opened = address; return nil },
		d.prepared(t, "a.json", "rx-1", "RS256"), d.file(t, "letter.txt", []byte("letter\n")), "--json")
	if said.err != nil {
		t.Fatalf("%v\n%s", said.err, said.stderr)
	}
	if !strings.Contains(opened, "/client?token=f523a772") {
		t.Errorf("opened %q", opened)
	}
	if len(service.bearers) != 1 || service.bearers[0] != "Bearer let-me-in" {
		t.Errorf("authorised by %q", service.bearers)
	}
	mustSay(t, said.stderr, "letter.txt ends with a line break", "2 to be signed with RS256", "waiting for the page to be opened",
		"waiting for the person to sign", "not available")
	var v verdict
	said.json(t, &v)
	if !v.Holds || len(v.Items) != 2 || v.Items[0].ID != "rx-1" || v.Items[1].ID != "letter.txt" || !v.Items[1].Verified {
		t.Errorf("verdict %+v", v)
	}
	info, err := os.Stat(d.path("out.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info.Mode(), err)
	}
	saved, err := os.ReadFile(d.path("out.json"))
	if err != nil || strings.Contains(string(saved), "f523a772") || strings.Contains(string(saved), "let-me-in") {
		t.Errorf("the file holds a token, or cannot be read: %v", err)
	}

	t.Run("verify", func(t *testing.T) {
		issuer := d.file(t, "issuer.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: service.certificate}))
		said := execute(t, verifyCommand(), d.path("out.json"), "--issuer", issuer)
		if said.err != nil {
			t.Fatal(said.err)
		}
		mustSay(t, said.stdout, "rx-1", "verified", "CN=555086689106_TEST", "2 of 2 signatures verified with RS256", "Everything holds.")
		other := newSignatory(t)
		stranger := d.file(t, "stranger.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: other.certificate}))
		said = execute(t, verifyCommand(), d.path("out.json"), "--issuer", stranger)
		if !errors.Is(said.err, errTold) || said.stderr != "" {
			t.Errorf("another issuer: %v %s", said.err, said.stderr)
		}
		mustSay(t, said.stdout, "DOES NOT HOLD: certificate was not issued by one of the issuers given", "Use none")
		tampered := d.file(t, "tampered.json", []byte(strings.Replace(string(saved), client.NewPayload("", []byte("letter\n")).Payload,
			client.NewPayload("", []byte("Letter\n")).Payload, 1)))
		said = execute(t, verifyCommand(), tampered, "--json")
		var v verdict
		if said.json(t, &v); said.err == nil || v.Holds || !v.Items[0].Verified || v.Items[1].Verified || v.Items[1].Reason == "" {
			t.Errorf("tampered: %v %+v", said.err, v)
		}
	})
	t.Run("never over another file", func(t *testing.T) {
		said := d.sign(t, nil, d.path("letter.txt"))
		if said.err == nil || !strings.Contains(said.stderr, "exists already") {
			t.Errorf("%v %s", said.err, said.stderr)
		}
	})
}

// TestSignFails holds each way to fail: an error that says what to do, exit status 1, and no file left behind.
func TestSignFails(t *testing.T) {
	service := newSignatory(t)
	d := newDesk(t, service.URL)
	rs1, rs256 := d.prepared(t, "a.json", "rx-1", "RS1"), d.prepared(t, "b.json", "rx-2", "RS256")
	letter := d.file(t, "letter.txt", []byte("letter"))
	type failure struct {
		args    []string
		answers []string
		want    string
	}
	fails := func(name string, c failure) {
		t.Run(name, func(t *testing.T) {
			service.mu.Lock()
			service.answers = c.answers
			service.mu.Unlock()
			said := d.sign(t, nil, c.args...)
			if said.err == nil || !strings.Contains(said.stderr, c.want) || said.stdout != "" {
				t.Errorf("got %v\n%s%s\nwant %q", said.err, said.stdout, said.stderr, c.want)
			}
			if _, err := os.Stat(d.path("out.json")); !os.IsNotExist(err) {
				t.Errorf("got a file left behind (%v), want none", err)
			}
		})
	}
	for name, c := range map[string]failure{
		"two algorithms":        {args: []string{rs1, rs256}, want: "b.json is to be signed with RS256, but " + rs1 + " says RS1"},
		"not the one asked for": {args: []string{rs1, "--algorithm", "RS256"}, want: "but --algorithm says RS256"},
		"the same id":           {args: []string{rs1, d.prepared(t, "c.json", "rx-1", "RS1")}, want: `both called "rx-1"`},
		"an empty file":         {args: []string{d.file(t, "empty", nil)}, want: "is empty"},
		"a failed prepare":      {args: []string{d.file(t, "o.json", []byte(`{"resourceType":"OperationOutcome"}`))}, want: "OperationOutcome"},
		"a missing file":        {args: []string{d.path("none")}, want: "no such file"},
		"no key":                {args: []string{letter, "--key", letter}, want: "no PEM block"},
		"plain http":            {args: []string{letter, "--url", "http://signing.example/s"}, want: "must be https"},
		"no address":            {args: []string{letter, "--url", "signing"}, want: "must be the URL"},
		"cancelled":             {args: []string{letter, "--no-browser"}, answers: []string{"not_signed", "cancelled"}, want: "answered 410, cancelled"},
		"no such authority":     {args: []string{letter, "--ca", letter}, want: "no PEM certificate"},
	} {
		fails(name, c)
	}
	// The last one, since a question that the timeout cuts off may still take an answer from the service.
	fails("nobody signs", failure{args: []string{letter, "--no-browser", "--timeout", "50ms"}, answers: manyTimes("not_opened"), want: "has not signed within 50ms"})
}

func manyTimes(code string) []string {
	codes := make([]string, 5000)
	for i := range codes {
		codes[i] = code
	}
	return codes
}

// TestSignKeepsWhatDoesNotHold: what was returned stays for whoever looks into it, and the command fails.
func TestSignKeepsWhatDoesNotHold(t *testing.T) {
	service := newSignatory(t)
	service.tamper = true
	d := newDesk(t, service.URL)
	said := d.sign(t, func(context.Context, string) error { return errors.New("no display") }, d.file(t, "a", []byte("a")))
	if said.err == nil {
		t.Error("a signature over something else was taken")
	}
	mustSay(t, said.stderr, "no browser could be opened (no display); open this address")
	mustSay(t, said.stdout, "NOT VERIFIED", "DOES NOT HOLD: a signature does not verify: 1 of 1", "Use none")
	if _, err := os.Stat(d.path("out.json")); err != nil {
		t.Error(err)
	}
}
