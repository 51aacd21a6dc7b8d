package pkcs11_test

import (
	"bytes"
	"crypto/x509"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
)

func TestSigns(t *testing.T) {
	readers := pkcs11test.New(t)
	certificates := map[string]*x509.Certificate{}
	for name, key := range map[string]pkcs11test.Key{
		"555000000001": {}, "555000000002": {Bits: 1024}, "555000000003": {AlwaysAuth: true},
	} {
		key.User = name
		certificates[name] = readers.Insert("card "+name, "1234").Add(key)
	}
	d := newDesk(t, readers, nil)
	for user, certificate := range certificates {
		for _, algorithm := range []string{smartcard.RS1, smartcard.RS256, smartcard.PS256} {
			t.Run(user+" "+algorithm, func(t *testing.T) {
				d.mustSign(t, job(user, algorithm, 5), certificate)
			})
		}
	}
	if asked := len(d.person.asked); asked != 9 {
		t.Errorf("got %d PIN prompts in 9 jobs", asked)
	}
	for _, given := range d.person.given {
		if !bytes.Equal(given, make([]byte, 4)) {
			t.Error("a PIN was not wiped")
		}
	}
	if user, context := d.Logins(); user != 9 || context != 15 {
		t.Errorf("got %d logins and %d before single signatures, want 9 and 15", user, context)
	}
}

// A card that does not hash is given a digest or DigestInfo.
func TestMechanismsAreReadFromTheCard(t *testing.T) {
	readers := pkcs11test.New(t)
	certificate := readers.Insert("card", "1234").Add(pkcs11test.Key{User: anna})
	d := newDesk(t, readers, nil)
	d.Fault("nohash 0")
	for _, algorithm := range []string{smartcard.RS1, smartcard.RS256, smartcard.PS256} {
		d.mustSign(t, job(anna, algorithm, 2), certificate)
	}
	d.Fault("pss 0")
	d.mustSign(t, job(anna, smartcard.PS256, 2), certificate)
	failed := d.mustFail(t, job(anna, smartcard.RS256, 2), smartcard.CodeCardUnfit)
	if failed.Retryable() {
		t.Error("a card without the mechanism: got a retryable error")
	}
	if asked := len(d.person.asked); asked != 4 {
		t.Errorf("got %d PIN prompts, want none for a card that cannot sign", asked)
	}
}

func TestEachCardSignsForItsOwnUserOnly(t *testing.T) {
	readers := pkcs11test.New(t)
	annas := readers.Insert("anna", "1234").Add(pkcs11test.Key{User: anna})
	bens := readers.Insert("ben", "1234").Add(pkcs11test.Key{User: ben})
	d := newDesk(t, readers, nil)
	var both sync.WaitGroup
	both.Go(func() { d.mustSign(t, job(anna, smartcard.RS256, 20), annas) })
	both.Go(func() { d.mustSign(t, job(ben, smartcard.RS256, 20), bens) })
	both.Wait()
	failed := d.mustFail(t, job("555086689108", smartcard.RS256, 1), smartcard.CodeNoCard)
	if failed.Message != "The smartcard in the reader belongs to somebody else." {
		t.Errorf("got message %q", failed.Message)
	}
	d.mustFail(t, job("55508668910", smartcard.RS256, 1), smartcard.CodeNoCard) // a prefix of a user id is another user
}

// A certificate made for signatures comes first, then the newest; one that cannot sign is left out.
func TestOneCertificateIsChosen(t *testing.T) {
	readers := pkcs11test.New(t)
	card := readers.Insert("card", "1234")
	now := time.Now()
	change := func(usage x509.KeyUsage, from, to time.Time) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.KeyUsage, c.NotBefore, c.NotAfter = usage, from, to }
	}
	hour := time.Hour
	card.Add(pkcs11test.Key{User: anna, Bits: 1024, Change: change(x509.KeyUsageDigitalSignature, now.Add(-hour), now.Add(hour))})
	card.Add(pkcs11test.Key{User: anna, Bits: 1024, Change: change(x509.KeyUsageContentCommitment, now.Add(-3*hour), now.Add(hour))})
	newest := card.Add(pkcs11test.Key{User: anna, Bits: 1024, Change: change(x509.KeyUsageContentCommitment, now.Add(-2*hour), now.Add(hour))})
	card.Add(pkcs11test.Key{User: anna, Bits: 1024, Change: change(x509.KeyUsageContentCommitment, now.Add(-2*hour), now.Add(-hour))})
	card.Add(pkcs11test.Key{User: anna, Bits: 1024, Change: change(x509.KeyUsageKeyEncipherment, now.Add(-hour), now.Add(hour))})
	card.Add(pkcs11test.Key{User: anna, Bits: 1024, Change: func(c *x509.Certificate) { c.IsCA = true }})
	d := newDesk(t, readers, nil)
	d.mustSign(t, job(anna, smartcard.RS256, 3), newest)
}

func TestUnfitCards(t *testing.T) {
	readers := pkcs11test.New(t)
	readers.Insert("expired", "1234").Add(pkcs11test.Key{User: anna, Bits: 1024, Change: func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
	}})
	d := newDesk(t, readers, nil)
	d.mustFail(t, job(anna, smartcard.RS256, 1), smartcard.CodeCardUnfit)
	if len(d.person.asked) != 0 {
		t.Error("got a PIN prompt for a card that cannot sign")
	}
}
