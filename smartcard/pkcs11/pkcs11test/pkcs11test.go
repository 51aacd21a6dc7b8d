// Package pkcs11test provides real cards for tests without hardware: SoftHSM2 tokens with keys and certificates, the
// CA that issued them, and a module that fails on command. It is only for tests.
//
// It needs Debian's softhsm2-util, pkcs11-tool and gcc on PATH.
package pkcs11test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Module is Debian's path of SoftHSM2.
const Module = "/usr/lib/softhsm/libsofthsm2.so"

//go:embed testdata/faulty.c
var faulty []byte

// Readers is a set of readers that hold SoftHSM2 tokens.
type Readers struct {
	Dir    string
	CA     string // path of the issuer's certificate, PEM
	Faulty string // path of the faulty module

	tb  testing.TB
	ca  *x509.Certificate
	key *rsa.PrivateKey
}

// New makes a set of empty readers.
func New(tb testing.TB) *Readers {
	tb.Helper()
	r := &Readers{Dir: tb.TempDir(), tb: tb}
	r.write("softhsm2.conf", fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = true\n", r.path("tokens")))
	if err := os.Mkdir(r.path("tokens"), 0o700); err != nil {
		tb.Fatal(err)
	}
	r.issuer()
	r.write("faulty.c", faulty)
	r.Faulty = r.path("faulty.so")
	r.run("gcc", "-shared", "-fPIC", "-O1", "-o", r.Faulty, r.path("faulty.c"), "-ldl")
	return r
}

func (r *Readers) path(name string) string { return filepath.Join(r.Dir, name) }

func (r *Readers) write(name string, data []byte) string {
	r.tb.Helper()
	if err := os.WriteFile(r.path(name), data, 0o600); err != nil {
		r.tb.Fatal(err)
	}
	return r.path(name)
}

// Env is the environment SoftHSM2 and the faulty module need.
func (r *Readers) Env() []string {
	return []string{"SOFTHSM2_CONF=" + r.path("softhsm2.conf"), "FAULTY_MODULE=" + Module, "FAULTY_DIR=" + r.Dir}
}

// run runs a program and returns its output.
func (r *Readers) run(name string, args ...string) string {
	r.tb.Helper()
	cmd := exec.CommandContext(r.tb.Context(), name, args...) //nolint:gosec // Debian's tools
	cmd.Env = append(os.Environ(), r.Env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// issuer makes the CA.
func (r *Readers) issuer() {
	r.tb.Helper()
	var err error
	if r.key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		r.tb.Fatal(err)
	}
	r.ca = &x509.Certificate{
		Subject: pkix.Name{CommonName: "test card CA", Organization: []string{"test"}}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte("test card CA"),
	}
	r.ca = r.issue(r.ca, r.key.Public())
	r.CA = r.write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.ca.Raw}))
}

func (r *Readers) issue(template *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	r.tb.Helper()
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		r.tb.Fatal(err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, r.ca, public, r.key)
	if err != nil {
		r.tb.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		r.tb.Fatal(err)
	}
	return certificate
}

// Issue certifies a user's key. change may be nil.
func (r *Readers) Issue(user string, public crypto.PublicKey, change func(*x509.Certificate)) *x509.Certificate {
	r.tb.Helper()
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: user + "_TEST_CARD", Organization: []string{"test"}},
		KeyUsage: x509.KeyUsageContentCommitment, BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	return r.issue(template, public)
}

// Token is a card in a reader.
type Token struct {
	Label string
	PIN   string

	r    *Readers
	keys int
}

// Insert puts a new, empty token into a reader.
func (r *Readers) Insert(label, pin string) *Token {
	r.tb.Helper()
	r.run("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "87654321")
	return &Token{Label: label, PIN: pin, r: r}
}

// Key describes a key on a token. The zero value with a User is an ordinary key.
type Key struct {
	User       string // the certificate's common name begins with it
	Bits       int    // default 2048
	AlwaysAuth bool   // the PIN is required before every signature
	Change     func(*x509.Certificate)
}

// Add makes a key pair on the token and writes its certificate beside it. It returns the certificate.
func (t *Token) Add(k Key) *x509.Certificate {
	t.r.tb.Helper()
	if k.Bits == 0 {
		k.Bits = 2048
	}
	t.keys++
	id := fmt.Sprintf("%02x", t.keys)
	args := []string{"--keypairgen", "--key-type", fmt.Sprintf("rsa:%d", k.Bits), "--id", id, "--label", "key " + id}
	if k.AlwaysAuth {
		args = append(args, "--always-auth")
	}
	t.tool(args...)
	public := t.r.path(t.Label + id + ".pub")
	t.tool("--read-object", "--type", "pubkey", "--id", id, "--output-file", public)
	der, err := os.ReadFile(public)
	if err != nil {
		t.r.tb.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.r.tb.Fatal(err)
	}
	certificate := t.r.Issue(k.User, key, k.Change)
	t.tool("--write-object", t.r.write(t.Label+id+".der", certificate.Raw), "--type", "cert", "--id", id, "--label", "certificate "+id)
	return certificate
}

func (t *Token) tool(args ...string) {
	t.r.tb.Helper()
	t.r.run("pkcs11-tool", append([]string{"--module", Module, "--token-label", t.Label, "--login", "--pin", t.PIN}, args...)...)
}

// Login logs in with the right PIN, as a person would by hand.
func (t *Token) Login() {
	t.r.tb.Helper()
	t.tool("--list-objects")
}

// Flags returns the token's flags, as pkcs11-tool prints them.
func (t *Token) Flags() string {
	t.r.tb.Helper()
	_, after, _ := strings.Cut(t.r.run("pkcs11-tool", "--module", Module, "--list-slots"), ": "+t.Label+"\n")
	_, flags, _ := strings.Cut(after, "token flags")
	flags, _, _ = strings.Cut(flags, "\n")
	return flags
}

// Fault sets the faulty module's behaviour: "hang 3", "crash 3", "remove 3", …; empty: none.
func (r *Readers) Fault(what string) {
	r.tb.Helper()
	r.write("fault", []byte(what))
}

// Slow slows down the faulty module's signatures, to imitate a card.
func (r *Readers) Slow(milliseconds int) {
	r.tb.Helper()
	r.write("slow", fmt.Append(nil, milliseconds))
}

// Pull removes a token for good, possibly while it signs.
func (t *Token) Pull() {
	t.r.tb.Helper()
	tokens := t.r.path("tokens")
	entries, err := os.ReadDir(tokens)
	if err != nil {
		t.r.tb.Fatal(err)
	}
	for _, entry := range entries {
		dir := filepath.Join(tokens, entry.Name())
		objects, err := os.ReadFile(filepath.Join(dir, "token.object"))
		if err != nil {
			t.r.tb.Fatal(err)
		}
		if strings.Contains(string(objects), t.Label) {
			if err := os.RemoveAll(dir); err != nil {
				t.r.tb.Fatal(err)
			}
			return
		}
	}
	t.r.tb.Fatalf("no token %q", t.Label)
}

// PutBack ends what "remove" began.
func (r *Readers) PutBack() {
	r.tb.Helper()
	r.Fault("")
	if err := os.Remove(r.path("removed")); err != nil {
		r.tb.Fatal(err)
	}
}

// Logins returns the C_Login calls the faulty module has seen: as the card holder, and before single signatures.
func (r *Readers) Logins() (user, context int) {
	text := r.read("logins")
	return strings.Count(text, "user\n"), strings.Count(text, "context\n")
}

// Signs returns the number of C_Sign calls the faulty module has seen.
func (r *Readers) Signs() int { return strings.Count(r.read("signs"), "sign\n") }

// Forget resets the counters.
func (r *Readers) Forget() {
	for _, name := range []string{"logins", "signs"} {
		_ = os.Remove(r.path(name)) // may not exist yet
	}
}

func (r *Readers) read(name string) string {
	text, err := os.ReadFile(r.path(name))
	if err != nil && !os.IsNotExist(err) {
		r.tb.Fatal(err)
	}
	return string(text)
}
