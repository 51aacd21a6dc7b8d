package mocksigner_test

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/mocksigner"
	"github.com/seed-dd2befc3/countersign/smartcard"
)

// openssl runs OpenSSL, which checks certificates and signatures independently of Go's own code.
func openssl(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func save(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func savePEM(t *testing.T, dir, name, kind string, der []byte) {
	t.Helper()
	save(t, dir, name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestOpenSSLJudgesSignatures(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Fatal("openssl is needed on PATH: ", err)
	}
	agent := connect(t, mocksigner.Options{CA: loadCA(t, newVault())})
	for algorithm, args := range map[string][]string{
		smartcard.RS1:   {"-sha1"},
		smartcard.RS256: {"-sha256"},
		smartcard.PS256: {"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"},
	} {
		t.Run(algorithm, func(t *testing.T) {
			job := newJob(2, algorithm)
			result, err := agent.Sign(t.Context(), job, nil)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			savePEM(t, dir, "card.pem", "CERTIFICATE", result.Certificate)
			key, err := openssl(t, dir, "x509", "-in", "card.pem", "-noout", "-pubkey")
			if err != nil {
				t.Fatal(key)
			}
			save(t, dir, "key.pem", []byte(key))
			verify := func(payload, sig int) (string, error) {
				save(t, dir, "payload", job.Payloads[payload].Payload)
				save(t, dir, "sig", result.Signatures[sig])
				return openssl(t, dir, append(append([]string{"dgst"}, args...), "-verify", "key.pem", "-signature", "sig", "payload")...)
			}
			for i := range job.Payloads {
				if out, err := verify(i, i); err != nil {
					t.Errorf("item %d: %s", i, out)
				}
			}
			if out, err := verify(0, 1); err == nil {
				t.Errorf("openssl accepted another item's signature: %s", out)
			}
		})
	}
}

func TestOpenSSLJudgesCards(t *testing.T) {
	ca := loadCA(t, newVault())
	crl, err := ca.CRL(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for fault, complaint := range map[string]string{ // empty: openssl accepts the card
		"":                            "",
		mocksigner.OtherUser:          "",
		mocksigner.ExpiredCertificate: "certificate has expired",
		mocksigner.RevokedCertificate: "certificate revoked",
		mocksigner.UntrustedChain:     "certificate signature failure",
	} {
		t.Run("fault "+fault, func(t *testing.T) {
			o := mocksigner.Options{CA: ca, CRLURL: "http://crl.example.org/mock.crl"}
			if fault != "" {
				o.Faults = []mocksigner.Fault{{Name: fault, Rate: 1}}
			}
			result, err := connect(t, o).Sign(t.Context(), newJob(1, smartcard.RS256), nil)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			savePEM(t, dir, "ca.pem", "CERTIFICATE", ca.Certificate().Raw)
			savePEM(t, dir, "crl.pem", "X509 CRL", crl)
			savePEM(t, dir, "card.pem", "CERTIFICATE", result.Certificate)
			out, err := openssl(t, dir, "verify", "-x509_strict", "-check_ss_sig", "-crl_check", "-CRLfile", "crl.pem", "-CAfile", "ca.pem", "card.pem")
			if (err == nil) != (complaint == "") || !strings.Contains(out, complaint) {
				t.Errorf("got %q from openssl, want %q", out, complaint)
			}
			text, err := openssl(t, dir, "x509", "-in", "card.pem", "-noout", "-text")
			if err != nil {
				t.Fatal(text)
			}
			for _, want := range []string{
				"CN = 5550866891", "_MOCK_CARD", "O = Countersign MOCK - not for clinical use", "Issuer: O = Countersign MOCK - not for clinical use, CN = Countersign mock CA ",
				"X509v3 Key Usage: critical\n                Digital Signature, Non Repudiation\n", "CA:FALSE", "Public-Key: (2048 bit)",
				"X509v3 Subject Key Identifier", "X509v3 Authority Key Identifier",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("want %q in openssl's output\n%s", want, text)
				}
			}
			if named := strings.Contains(text, "URI:http://crl.example.org/mock.crl"); named != (fault == mocksigner.RevokedCertificate) {
				t.Errorf("the card names a list: %v\n%s", named, text)
			}
		})
	}
}
