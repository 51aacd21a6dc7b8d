package cards_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// openSC is where Debian puts OpenSC's module.
func openSC(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/*-linux-gnu/opensc-pkcs11.so")
	if err != nil || len(found) == 0 {
		t.Fatal("opensc-pkcs11.so is needed: apt-get install opensc-pkcs11")
	}
	return found[0]
}

// startPCSC runs pcscd, unless the system does already. Debian's package of the virtual reader has told it of that.
func startPCSC(t *testing.T) {
	t.Helper()
	runs := func() bool {
		conn, err := net.Dial("unix", "/run/pcscd/pcscd.comm")
		if err == nil {
			conn.Close()
		}
		return err == nil
	}
	reader := func() bool {
		listening, err := exec.Command("ss", "-Hltn", "sport = :35963").Output()
		return err == nil && len(listening) > 0
	}
	if runs() {
		return
	}
	// The reader's port may still be that of a test before.
	if !gateway.Eventually(2*time.Minute, func() bool {
		pcscd := gateway.Launch(t, exec.Command("/usr/sbin/pcscd", "--foreground"))
		if gateway.Eventually(15*time.Second, func() bool { return runs() && reader() }) {
			return true
		}
		pcscd.Stop()
		return false
	}) {
		t.Fatal("pcscd does not start with the virtual reader")
	}
}

// A card below PC/SC: everything above it, from the reader's driver to OpenSC, is what real cards have.
func TestCardBelowPCSC(t *testing.T) {
	readers := pkcs11test.New(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	certificate := readers.Issue(anna, &key.PublicKey, func(c *x509.Certificate) {
		c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	})
	card := &pivCard{key: key, cert: certificate.Raw, pin: secret, tries: 3}
	startPCSC(t)
	card.insert(t)
	module := openSC(t)
	mustBeSeen := func(t *testing.T) {
		t.Helper()
		var shown []byte
		if !gateway.Eventually(patience, func() bool {
			shown, _ = exec.Command(gateway.Binary(t), "countersign", "cards", "--module", module).CombinedOutput()
			return strings.Contains(string(shown), `signs for "`+anna+`"`)
		}) {
			t.Fatalf("the card is not seen:\n%s", shown)
		}
	}
	mustBeSeen(t)

	w := newWorld(t, readers, `module `+module+`
		pin file {pin} {
			service_key
		}`)
	w.mustSign(t, anna, "RS256", 5)
	w.mustSign(t, anna, "RS1", 5)
	w.mustSign(t, anna, "PS256", 5)

	whole := t // the card stays in for all of the test
	t.Run("pulled in the middle and put back", func(t *testing.T) {
		card.mu.Lock()
		card.pullAt = card.signed + 4
		card.mu.Unlock()
		browser, accepted := w.visit(t, anna, 10)
		browser.Sign()
		w.mustEnd(t, anna, browser, accepted, "card_removed", true)
		browser.Sign()
		w.mustEnd(t, anna, browser, accepted, "no_card", true)
		card.insert(whole)
		mustBeSeen(t) // every press until then would be one of the request's tries
		gateway.Eventually(30*time.Second, func() bool {
			browser.Sign()
			return browser.Await("the end", patience, func(v gateway.View) bool { return v.State != "signing" }).State == "signed"
		})
		if view := browser.View(); view.State != "signed" {
			t.Fatalf("%q %+v", view.State, view.Reason)
		}
	})
	t.Run("a wrong PIN is tried once", func(t *testing.T) {
		w.setPIN(t, "00000000")
		card.mu.Lock()
		card.verified = 0
		card.mu.Unlock()
		browser, accepted := w.visit(t, anna, 10)
		browser.Sign()
		w.mustEnd(t, anna, browser, accepted, "wrong_pin", true)
		card.mu.Lock()
		tries, verified := card.tries, card.verified
		card.mu.Unlock()
		if tries != 2 || verified != 1 {
			t.Errorf("the card has %d tries left after %d, want 2 after 1", tries, verified)
		}
	})
}
