package certificates_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// user is the owner of the cards; made up.
const user = "555086689106"

// authority is an authority run by `openssl ca`: its certificate, its key, its index of issued certificates.
type authority struct {
	testing.TB
	dir  string
	name string
	cert *x509.Certificate
}

// newAuthority returns an authority. Without a parent it is self-signed.
func newAuthority(t testing.TB, name string, parent *authority, extensions ...string) *authority {
	t.Helper()
	a := &authority{TB: t, dir: t.TempDir(), name: name}
	for file, text := range map[string]string{
		"index.txt": "", "serial": "1000\n", "crlnumber": "01\n",
		"ca.cnf": strings.ReplaceAll(`[ca]
default_ca = own
[own]
database = DIR/index.txt
serial = DIR/serial
crlnumber = DIR/crlnumber
new_certs_dir = DIR
certificate = DIR/ca.pem
private_key = DIR/ca.key
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
`, "DIR", a.dir),
	} {
		a.write(file, text)
	}
	a.openssl("genrsa", "-out", a.file("ca.key"), "2048")
	a.openssl("req", "-new", "-config", a.file("ca.cnf"), "-key", a.file("ca.key"), "-subj", "/CN="+name, "-out", a.file("ca.csr"))
	ext := append([]string{"basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash"}, extensions...)
	a.write("ca.ext", strings.Join(ext, "\n"))
	if parent == nil {
		parent = a
	}
	args := []string{"ca", "-batch", "-notext", "-config", parent.file("ca.cnf"), "-in", a.file("ca.csr"), "-startdate", stamp(-1000 * 24 * time.Hour),
		"-enddate", stamp(1000 * 24 * time.Hour), "-extfile", a.file("ca.ext"), "-out", a.file("ca.pem")}
	if parent == a {
		args = append(args, "-selfsign")
	}
	parent.openssl(args...)
	a.cert = parse(t, a.read("ca.pem"))
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name) }

func (a *authority) read(name string) []byte {
	a.Helper()
	text, err := os.ReadFile(a.file(name))
	if err != nil {
		a.Fatal(err)
	}
	return text
}

func (a *authority) write(name, text string) {
	a.Helper()
	if err := os.WriteFile(a.file(name), []byte(text), 0o600); err != nil {
		a.Fatal(err)
	}
}

func (a *authority) openssl(args ...string) []byte {
	a.Helper()
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		a.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// cardKey is the key of all cards, since generating one takes a while.
var cardKey = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "countersign-card-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "card.key")
	return path, exec.Command("openssl", "genrsa", "-out", path, "2048").Run()
})

// card returns a card's certificate, DER, valid since a month ago. The extensions are in openssl's syntax.
func (a *authority) card(name string, extensions ...string) []byte {
	a.Helper()
	key, err := cardKey()
	if err != nil {
		a.Fatal(err)
	}
	return a.issue(name, key, "sha256", extensions...)
}

func (a *authority) issue(name, key, hash string, extensions ...string) []byte {
	a.Helper()
	ext := append([]string{"basicConstraints=CA:FALSE", "keyUsage=critical,nonRepudiation", "authorityKeyIdentifier=keyid"}, extensions...)
	a.write(name+".ext", strings.Join(ext, "\n"))
	a.openssl("req", "-new", "-config", a.file("ca.cnf"), "-key", key, "-subj", "/CN="+user+"_"+name, "-out", a.file(name+".csr"))
	a.openssl("ca", "-batch", "-notext", "-config", a.file("ca.cnf"), "-md", hash, "-in", a.file(name+".csr"),
		"-startdate", stamp(-30*24*time.Hour), "-enddate", stamp(365*24*time.Hour), "-extfile", a.file(name+".ext"), "-out", a.file(name+".pem"))
	block, _ := pem.Decode(a.read(name + ".pem"))
	return block.Bytes
}

// stamp returns a time relative to now in openssl's format.
func stamp(fromNow time.Duration) string {
	return time.Now().Add(fromNow).UTC().Format("20060102150405Z")
}

// revoke revokes a certificate of the authority now.
func (a *authority) revoke(name, reason string) {
	a.Helper()
	args := []string{"ca", "-config", a.file("ca.cnf"), "-revoke", a.file(name + ".pem")}
	if reason != "" {
		args = append(args, "-crl_reason", reason)
	}
	a.openssl(args...)
}

// list returns the authority's list as of now, DER, valid for two hours, with these extensions.
func (a *authority) list(extensions ...string) []byte {
	return a.listFor([]string{"-crlhours", "2"}, extensions...)
}

func (a *authority) listFor(life []string, extensions ...string) []byte {
	a.Helper()
	text := string(a.read("ca.cnf")) + "\n[lists]\nauthorityKeyIdentifier=keyid\n" + strings.Join(extensions, "\n") + "\n"
	a.write("list.cnf", text)
	args := append([]string{"ca", "-gencrl", "-config", a.file("list.cnf"), "-crlexts", "lists", "-out", a.file("list.pem")}, life...)
	a.openssl(args...)
	block, _ := pem.Decode(a.read("list.pem"))
	return block.Bytes
}

func parse(t testing.TB, text []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM: %.100s", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// site is a web server with lists that counts requests.
type site struct {
	*httptest.Server
	mu     sync.Mutex
	files  map[string][]byte
	hits   map[string]int
	handle func(w http.ResponseWriter, r *http.Request) bool // called first; true: it has answered
}

func newSite(t testing.TB) *site {
	s := &site{files: map[string][]byte{}, hits: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.hits[r.URL.Path]++
		body, there := s.files[r.URL.Path]
		handle := s.handle
		s.mu.Unlock()
		switch {
		case handle != nil && handle(w, r):
		case !there:
			http.NotFound(w, r)
		default:
			_, _ = w.Write(body)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) put(path string, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = body
}

func (s *site) asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[path]
}

func (s *site) host() string { return strings.TrimPrefix(s.URL, "http://") }

// at returns the line of a certificate's extensions that names a list of the site.
func (s *site) at(path string) string { return "crlDistributionPoints=URI:" + s.URL + path }

// clock is a clock set by the test.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
}

// newRevocations returns a Revocations that may contact only the site, which is on this machine.
func newRevocations(t testing.TB, s *site, change func(*certificates.Options)) *certificates.Revocations {
	t.Helper()
	options := certificates.Options{Hosts: []string{s.host()}, Outbound: outbound.Options{AllowLocalhost: true, Timeout: 20 * time.Second}}
	if change != nil {
		change(&options)
	}
	r, err := certificates.New(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// check checks a certificate against a policy and expects the code, or none if it is empty.
func check(t testing.TB, p certificates.Policy, der []byte, at time.Time, want certificates.Code) (accepted certificates.Accepted, detail string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	accepted, refused := p.Check(ctx, der, user, at)
	var got certificates.Code
	if refused != nil {
		got, detail = refused.Code, refused.Detail
	}
	if got != want {
		t.Errorf("got code %q (%s), want %q", got, detail, want)
	}
	if strings.Contains(detail+accepted.Unchecked, user) {
		t.Errorf("detail contains a user id: %s", detail+accepted.Unchecked)
	}
	if refused == nil && (accepted.Certificate == nil || accepted.Key == nil) {
		t.Error("accepted, but without a certificate")
	}
	return accepted, detail
}

func mustContain(t testing.TB, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("got %q, want it to contain %q", text, part)
	}
}

func mustAsk(t testing.TB, s *site, path string, times int) {
	t.Helper()
	if got := s.asked(path); got != times {
		t.Errorf("%s was fetched %d times, want %d", path, got, times)
	}
}

// eventually polls until done returns true.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := cardKey(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "these tests need openssl")
	}
	os.Exit(code)
}
