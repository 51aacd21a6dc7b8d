package cards_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// Three people's cards in three readers: each signs for its own person, with every algorithm.
func TestCardsSign(t *testing.T) {
	readers := pkcs11test.New(t)
	readers.Insert("anna", secret).Add(pkcs11test.Key{User: anna})
	readers.Insert("ben", secret).Add(pkcs11test.Key{User: ben, AlwaysAuth: true})
	readers.Insert("carol", secret).Add(pkcs11test.Key{User: carol, Bits: 1024})
	w := newWorld(t, readers, storedPIN)
	for person, name := range map[string]string{anna: "RSA 2048", ben: "PIN before every signature", carol: "RSA 1024"} {
		for _, algorithm := range []string{"RS1", "RS256", "PS256"} {
			t.Run(name+" "+algorithm, func(t *testing.T) { w.mustSign(t, person, algorithm, 4) })
		}
	}
	if user, context := w.Logins(); user != 9 || context != 12 {
		t.Errorf("%d logins and %d before single signatures, want 9 and 12", user, context)
	}
	t.Run("250 items", func(t *testing.T) { w.mustSign(t, anna, "RS256", 250) })
	t.Run("250 items with a PIN each", func(t *testing.T) { w.mustSign(t, ben, "RS256", 250) })
	t.Run("somebody without a card", func(t *testing.T) {
		w.Forget()
		browser, accepted := w.visit(t, "555086689109", 3)
		browser.Sign()
		w.mustEnd(t, "555086689109", browser, accepted, "no_card", true)
		if user, _ := w.Logins(); user != 0 || w.Signs() != 0 {
			t.Errorf("%d logins, %d signatures for somebody without a card", user, w.Signs())
		}
	})
	t.Run("the command shows them", func(t *testing.T) { w.mustShow(t) })
}

// mustShow holds caddy countersign cards to what is in the readers.
func (w *world) mustShow(t *testing.T) {
	t.Helper()
	run := func(args ...string) string {
		cmd := exec.Command(gateway.Binary(t), append([]string{"countersign", "cards", "--module", pkcs11test.Module}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	text := run()
	for _, want := range []string{`signs for "` + anna, `signs for "` + ben, `signs for "` + carol, "RSA 2048", "the key has 1024 bits", "RS1 RS256 PS256"} {
		if !strings.Contains(text, want) {
			t.Errorf("does not say %q:\n%s", want, text)
		}
	}
	var said struct {
		Readers []struct {
			Card *struct {
				Label        string
				Certificates []struct {
					User    string
					Against []string
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(run("--json")), &said); err != nil {
		t.Fatal(err)
	}
	users := map[string]string{}
	for _, r := range said.Readers {
		if r.Card != nil && len(r.Card.Certificates) == 1 && len(r.Card.Certificates[0].Against) == 0 {
			users[r.Card.Label] = r.Card.Certificates[0].User
		}
	}
	if users["anna"] != anna || users["ben"] != ben || users["carol"] != carol {
		t.Errorf("shows %v", users)
	}
}

// Whatever happens to card or module in the middle of a batch: nothing is released, the person is told what it was,
// and the next request works, by the same gateway that was running all the time.
func TestTrouble(t *testing.T) {
	readers := pkcs11test.New(t)
	annas := readers.Insert("anna", secret)
	annas.Add(pkcs11test.Key{User: anna})
	w := newWorld(t, readers, storedPIN)
	begin := func(t *testing.T, n int) (*gateway.Browser, gateway.Accepted) {
		t.Helper()
		browser, accepted := w.visit(t, anna, n)
		browser.Sign()
		return browser, accepted
	}
	midway := func(t *testing.T) (*gateway.Browser, gateway.Accepted) {
		t.Helper()
		w.Slow(80) // there is a middle for 20 seconds
		browser, accepted := begin(t, 250)
		browser.Await("ten signatures", patience, func(v gateway.View) bool { return v.Signed >= 10 && v.State == "signing" })
		return browser, accepted
	}
	again := func(t *testing.T) {
		t.Helper()
		w.Fault("")
		w.Slow(0)
		w.mustSign(t, anna, "RS256", 3)
	}

	t.Run("the module's process is killed", func(t *testing.T) {
		browser, accepted := midway(t)
		children := pkcs11test.Children(t, os.Getpid(), "pkcs11-child")
		if len(children) != 1 {
			t.Fatalf("%d processes hold the module", len(children))
		}
		if err := syscall.Kill(children[0], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		w.mustEnd(t, anna, browser, accepted, "card_crashed", true)
		again(t)
	})
	t.Run("the module crashes", func(t *testing.T) {
		w.Fault("crash 5")
		browser, accepted := begin(t, 20)
		w.mustEnd(t, anna, browser, accepted, "card_crashed", true)
		again(t)
	})
	t.Run("the module hangs", func(t *testing.T) {
		w.Fault("hang 5")
		browser, accepted := begin(t, 20)
		w.mustEnd(t, anna, browser, accepted, "card_timeout", true)
		again(t)
	})
	t.Run("the card is taken out and put back", func(t *testing.T) {
		w.Fault("remove 5")
		browser, accepted := begin(t, 20)
		w.mustEnd(t, anna, browser, accepted, "card_removed", true)
		browser.Sign()
		w.mustEnd(t, anna, browser, accepted, "no_card", true)
		w.PutBack()
		browser.Sign() // the same request goes on
		if view := browser.Await("the end", patience, gateway.View.Over); view.State != "signed" {
			t.Fatalf("ended %q: %+v", view.State, view.Reason)
		}
		again(t)
	})
	t.Run("the person cancels", func(t *testing.T) {
		w.Forget()
		browser, _ := midway(t)
		browser.Cancel()
		if view := browser.Await("the end", patience, gateway.View.Over); view.State != "cancelled" {
			t.Fatalf("ended %q", view.State)
		}
		again(t) // waits until the card is free
		if n := w.Signs(); n > 200 {
			t.Errorf("the card went on to %d signatures", n)
		}
	})
	t.Run("a wrong PIN", func(t *testing.T) {
		w.Forget()
		w.setPIN(t, "00000000")
		browser, accepted := begin(t, 250)
		w.mustEnd(t, anna, browser, accepted, "wrong_pin", true)
		if user, context := w.Logins(); user != 1 || context != 0 || w.Signs() != 0 {
			t.Errorf("the card saw %d and %d logins and %d signatures, want one login", user, context, w.Signs())
		}
		if flags := annas.Flags(); !strings.Contains(flags, "user PIN count low") || strings.Contains(flags, "locked") {
			t.Errorf("the card's flags: %s", flags)
		}
		// A stored PIN is not tried again, and neither is another one before somebody has logged in by hand.
		browser.Sign()
		w.mustEnd(t, anna, browser, accepted, "agent_refused", true)
		w.setPIN(t, secret)
		browser.Sign()
		w.mustEnd(t, anna, browser, accepted, "agent_refused", true)
		if user, _ := w.Logins(); user != 1 {
			t.Errorf("the card saw %d logins", user)
		}
		annas.Login()
		again(t)
	})
}

// A token that vanishes under SoftHSM2 itself, without our module between.
func TestTokenVanishes(t *testing.T) {
	readers := pkcs11test.New(t)
	annas := readers.Insert("anna", secret)
	annas.Add(pkcs11test.Key{User: anna, Bits: 4096}) // slow enough to be caught in the middle
	w := newWorld(t, readers, strings.Replace(storedPIN, "{faulty}", pkcs11test.Module, 1))
	w.mustSign(t, anna, "RS256", 1) // and the module's process is there
	children := pkcs11test.Children(t, os.Getpid(), "pkcs11-child")
	if len(children) != 1 {
		t.Fatalf("%d processes hold the module", len(children))
	}
	child := strconv.Itoa(children[0])
	tell := func(command string) {
		if _, err := gateway.Run(nil, "sh", "-c", command, child); err != nil {
			t.Fatal(err)
		}
	}
	tell("kill -STOP $0")
	t.Cleanup(func() { _ = syscall.Kill(children[0], syscall.SIGCONT) }) // it may have ended
	browser, accepted := w.visit(t, anna, 250)
	browser.Sign()
	// It goes on for a moment at a time, so that it is in the middle however long this test takes to look.
	browser.Await("a few signatures", patience, func(v gateway.View) bool {
		if v.Signed >= 5 {
			return true
		}
		tell("kill -CONT $0; sleep 0.02; kill -STOP $0")
		return false
	})
	annas.Pull()
	tell("kill -CONT $0")
	w.mustEnd(t, anna, browser, accepted, "card_removed", true)
	readers.Insert("anna", secret).Add(pkcs11test.Key{User: anna})
	w.mustSign(t, anna, "RS256", 3)
}

// A person types the PIN into a pinentry, once a request; what they are shown says who asks for what.
func TestPersonTypesThePIN(t *testing.T) {
	readers := pkcs11test.New(t)
	readers.Insert("anna", secret).Add(pkcs11test.Key{User: anna})
	dialog := filepath.Join(readers.Dir, "dialog")
	script := `#!/bin/sh
dir=` + readers.Dir + `
echo "OK ready"
while read -r line; do
	echo "$line" >>"$dir/heard"
	case $line in
	GETPIN) cat "$dir/says" ;;
	*) echo OK ;;
	esac
done
`
	if err := os.WriteFile(dialog, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	says := func(answer string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(readers.Dir, "says"), []byte(answer), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	says("D " + secret + "\nOK\n")
	w := newWorld(t, readers, `module {faulty}
		env FAULTY_MODULE FAULTY_DIR
		pin pinentry {dir}/dialog
		pin_timeout 12s`) // a dialog that a busy machine starts has time to speak
	w.mustSign(t, anna, "RS256", 5)
	w.mustSign(t, anna, "RS1", 5)
	heard, err := os.ReadFile(filepath.Join(readers.Dir, "heard"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(heard, []byte("GETPIN")); n != 2 || !bytes.Contains(heard, []byte("Acme EPR asks for 5 signatures by user "+anna)) {
		t.Errorf("asked %d times for two requests:\n%s", n, heard)
	}
	for answer, code := range map[string]string{
		"ERR 83886179 Operation cancelled <Pinentry>\n": "cancelled", "": "pin_timeout", "D 99999999\nOK\n": "wrong_pin", "D 9%": "agent_refused",
	} {
		says(answer)
		if strings.HasPrefix(answer, "D 9%") {
			says(answer + "\nOK\n")
		}
		browser, accepted := w.visit(t, anna, 5)
		browser.Sign()
		w.mustEnd(t, anna, browser, accepted, code, true)
	}
	says("D " + secret + "\nOK\n")
	w.mustSign(t, anna, "RS256", 1)
}
