package pkcs11_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pin"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
)

func TestTheFirstWrongPINEndsTheJob(t *testing.T) {
	for name, alwaysAuth := range map[string]bool{"ordinary key": false, "PIN before every signature": true} {
		t.Run(name, func(t *testing.T) {
			readers := pkcs11test.New(t)
			card := readers.Insert("card", "1234")
			certificate := card.Add(pkcs11test.Key{User: anna, AlwaysAuth: alwaysAuth})
			d := newDesk(t, readers, nil)
			d.person.pin = "4321"
			if failed := d.mustFail(t, job(anna, smartcard.RS256, 250), smartcard.CodeWrongPIN); !failed.Retryable() {
				t.Error("a wrong PIN: got a final error, want a retryable one")
			}
			if user, context := d.Logins(); user+context != 1 {
				t.Errorf("got %d logins at the card, want one", user+context)
			}
			if !strings.Contains(card.Flags(), "user PIN count low") || strings.Contains(card.Flags(), "locked") {
				t.Errorf("got card flags %q", card.Flags())
			}
			if d.Signs() != 0 || d.person.rejected != 1 {
				t.Errorf("got %d signatures, %d rejections", d.Signs(), d.person.rejected)
			}
			d.person.pin = "1234"
			d.mustSign(t, job(anna, smartcard.RS256, 2), certificate)
			if last := d.person.asked[1]; !last.WrongBefore {
				t.Errorf("want the next prompt to say that a PIN was wrong, got %+v", last)
			}
		})
	}
}

func TestAStoredPINIsNotRisked(t *testing.T) {
	readers := pkcs11test.New(t)
	readers.Insert("card", "1234").Add(pkcs11test.Key{User: anna, Bits: 1024})
	d := newDesk(t, readers, nil)
	d.person.pin, d.person.stored = "4321", true
	d.mustFail(t, job(anna, smartcard.RS256, 1), smartcard.CodeWrongPIN)
	d.mustFail(t, job(anna, smartcard.RS256, 1), smartcard.CodeRefused)
	if user, _ := d.Logins(); user != 1 {
		t.Errorf("a wrong stored PIN: got %d attempts", user)
	}
}

func TestNoPIN(t *testing.T) {
	readers := pkcs11test.New(t)
	readers.Insert("card", "1234").Add(pkcs11test.Key{User: anna, Bits: 1024})
	d := newDesk(t, readers, nil)
	for _, c := range []struct {
		err  error
		code string
	}{
		{pin.ErrCancelled, smartcard.CodeCancelled}, {pin.ErrTimeout, smartcard.CodePINTimeout}, {errors.New("no terminal"), smartcard.CodeRefused},
	} {
		d.person.err = c.err
		d.mustFail(t, job(anna, smartcard.RS256, 1), c.code)
	}
	if user, _ := d.Logins(); user != 0 {
		t.Errorf("got %d logins without a PIN", user)
	}
}

// When module or card fail in the middle of a batch, the error says so, no signature is kept, and the next job works.
func TestTroubleInTheMiddle(t *testing.T) {
	for fault, code := range map[string]string{
		"remove 10": smartcard.CodeCardRemoved, "general 10": smartcard.CodeCardRemoved,
		"crash 10": smartcard.CodeCardCrashed, "hang 10": smartcard.CodeCardTimeout, "decline 10": smartcard.CodeCancelled,
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			readers := pkcs11test.New(t)
			certificate := readers.Insert("card", "1234").Add(pkcs11test.Key{User: anna})
			d := newDesk(t, readers, func(o *pkcs11.Options) {
				if strings.HasPrefix(fault, "hang") {
					o.CallTimeout = short
				}
			})
			d.Fault(fault)
			signed := 0
			_, err := d.client.Sign(t.Context(), job(anna, smartcard.RS256, 50), func(string) { signed++ })
			var failed *smartcard.Error
			if !errors.As(err, &failed) || failed.Code != code || failed.Item != "rx-9" || failed.Message == "" {
				t.Fatalf("got error %v, item %+v, want %s at rx-9", err, failed, code)
			}
			if signed != 9 {
				t.Errorf("got %d items", signed)
			}
			if n := d.Signs(); n != 10 {
				t.Errorf("got %d signing calls at the card, want 10: none after the failed one", n)
			}
			if strings.HasPrefix(fault, "remove") || strings.HasPrefix(fault, "general") {
				d.mustFail(t, job(anna, smartcard.RS256, 1), smartcard.CodeNoCard)
				d.PutBack()
			}
			d.Fault("")
			d.mustSign(t, job(anna, smartcard.RS256, 3), certificate)
		})
	}
}

func TestHangsThatAreNotASignature(t *testing.T) {
	for fault, change := range map[string]func(*pkcs11.Options){
		"hang-load":  func(o *pkcs11.Options) { o.StartTimeout = short },
		"hang-login": func(o *pkcs11.Options) { o.CallTimeout = short },
	} {
		t.Run(fault, func(t *testing.T) {
			readers := pkcs11test.New(t)
			certificate := readers.Insert("card", "1234").Add(pkcs11test.Key{User: anna, Bits: 1024})
			d := newDesk(t, readers, change)
			d.Fault(fault)
			d.mustFail(t, job(anna, smartcard.RS256, 3), smartcard.CodeCardTimeout)
			d.Fault("")
			d.mustSign(t, job(anna, smartcard.RS256, 3), certificate)
		})
	}
}

func TestModulesThatAreNone(t *testing.T) {
	readers := pkcs11test.New(t)
	for name, module := range map[string]string{"no file": "/nowhere/module.so", "no library": readers.CA, "no module": "/lib/x86_64-linux-gnu/libm.so.6"} {
		if name == "no module" {
			if _, err := os.Stat(module); err != nil {
				module = "/lib/aarch64-linux-gnu/libm.so.6"
			}
		}
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, readers, func(o *pkcs11.Options) { o.Module = module })
			d.mustFail(t, job(anna, smartcard.RS256, 1), smartcard.CodeRefused)
		})
	}
}

// Cancelling stops before the next item and logs out of the card.
func TestCancel(t *testing.T) {
	readers := pkcs11test.New(t)
	certificate := readers.Insert("card", "1234").Add(pkcs11test.Key{User: anna})
	d := newDesk(t, readers, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	signed := 0
	_, err := d.client.Sign(ctx, job(anna, smartcard.RS256, 250), func(string) {
		if signed++; signed == 20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	d.mustSign(t, job(anna, smartcard.RS256, 1), certificate) // waits for the card to be free
	if n := d.Signs(); n >= 250 {
		t.Errorf("got %d signatures after a cancel at the 20th", n)
	}
}

// Killing the child fails only its job.
func TestKilledChild(t *testing.T) {
	readers := pkcs11test.New(t)
	certificate := readers.Insert("card", "1234").Add(pkcs11test.Key{User: anna})
	d := newDesk(t, readers, nil)
	d.Fault("hang 6") // keeps it at work until it is killed
	signed := 0
	_, err := d.client.Sign(t.Context(), job(anna, smartcard.RS256, 250), func(string) {
		if signed++; signed == 5 {
			for _, pid := range pkcs11test.Children(t, os.Getpid(), "pkcs11-child") {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
		}
	})
	var failed *smartcard.Error
	if !errors.As(err, &failed) || failed.Code != smartcard.CodeCardCrashed {
		t.Fatal(err)
	}
	d.Fault("")
	d.mustSign(t, job(anna, smartcard.RS256, 3), certificate)
	d.agent.Close()
	if left := pkcs11test.Children(t, os.Getpid(), "pkcs11-child"); len(left) > 0 {
		t.Errorf("processes are left over: %v", left)
	}
}

func TestHealth(t *testing.T) {
	readers := pkcs11test.New(t)
	d := newDesk(t, readers, nil)
	health, err := d.client.Health(t.Context())
	if err != nil || health.Ready || health.Card != "absent" {
		t.Fatalf("got health %+v, error %v", health, err)
	}
	d.agent.Close()
	readers.Insert("card", "1234").Add(pkcs11test.Key{User: anna, Bits: 1024})
	d = newDesk(t, readers, nil)
	health, err = d.client.Health(t.Context())
	if err != nil || !health.Ready || health.Card != "present" || !strings.Contains(health.Subject, anna) {
		t.Fatalf("got health %+v, error %v", health, err)
	}
}
