package certificates_test

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
)

// TestBundleWithAMark reads a bundle of two issuers from an editor that begins a file with a byte order mark.
func TestBundleWithAMark(t *testing.T) {
	const path = "testdata/trust-bom.pem"
	found, err := certificates.ReadPEM(path)
	if err != nil || len(found) != 2 {
		t.Fatalf("got %d certificates, %v, want 2", len(found), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	second := bytes.LastIndex(text, []byte("-----BEGIN"))
	for name, bundle := range map[string][]byte{
		"first commented out": append([]byte("# "), text...),
		"second cut off":      text[:len(text)-40],
		"second indented":     append(append(bytes.Clone(text[:second]), ' '), text[second:]...),
		"first damaged":       bytes.Replace(text, []byte("MII"), []byte("M*I"), 1),
	} {
		if found, err := certificates.ParsePEM(bundle); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: got %d certificates, %v, want an error with the line", name, len(found), err)
		}
	}
	explained := append([]byte("# the first\nsubject=CN = one\n"), text[:second]...)
	explained = append(append(explained, "\nand the second, 'BEGIN' of another chain:\n"...), text[second:]...)
	if found, err := certificates.ParsePEM(explained); err != nil || len(found) != 2 {
		t.Errorf("with explanatory text: got %d certificates, %v, want 2", len(found), err)
	}
}

// TestListsAsPublished serves one list in every form in which lists are published, and expects its revocation.
func TestListsAsPublished(t *testing.T) {
	c := newChecked(t)
	whole := c.ca.list()
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	if _, err := w.Write(whole); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{
		"PEM":     pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: whole}),
		"gzip":    small.Bytes(),
		"newline": append(bytes.Clone(whole), '\n'),
	} {
		t.Run(name, func(t *testing.T) {
			c.handle = func(w http.ResponseWriter, _ *http.Request) bool { _, _ = w.Write(body); return true }
			dir := t.TempDir()
			policy := c.policy(t, func(o *certificates.Options) { o.Dir = dir })
			check(t, policy, c.good, time.Now(), "")
			check(t, policy, c.revoked, time.Now().Add(time.Minute), certificates.Revoked)
			policy.Revocations.Close()
			c.handle = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true }
			again := c.policy(t, func(o *certificates.Options) { o.Dir = dir })
			again.Revocations.Start()
			eventually(t, "the list on disk", func() bool { return len(again.Revocations.Lists()) == 1 })
			check(t, again, c.revoked, time.Now().Add(time.Minute), certificates.Revoked)
		})
	}
}

// TestVersionOneOffline reads a list of version 1, as `openssl ca` makes one without a section of extensions.
func TestVersionOneOffline(t *testing.T) {
	ca := newAuthority(t, "Test Level 1", nil)
	bad := parsed(t, ca.card("bad"))
	ca.revoke("bad", "")
	ca.write("v1.cnf", strings.Replace(string(ca.read("ca.cnf")), "crlnumber = ", "# ", 1))
	ca.openssl("ca", "-config", ca.file("v1.cnf"), "-gencrl", "-crldays", "2", "-out", ca.file("v1.pem"))
	offline := certificates.NewOffline([]*x509.Certificate{ca.cert})
	if err := offline.AddList(ca.read("v1.pem"), time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := offline.Faults(t.Context(), bad, time.Now().Add(time.Minute)); len(got) != 1 || got[0] != certificates.Revoked {
		t.Errorf("got %q, want revoked", got)
	}
}
