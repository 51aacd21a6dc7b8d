package mocksigner_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/mocksigner"
	"github.com/seed-dd2befc3/countersign/smartcard"
)

// Every fault that ends a job, at the client's side, within a bounded time.
func TestFaultsThatEndTheJob(t *testing.T) {
	ca := loadCA(t, newVault())
	want := map[string]string{
		mocksigner.NoCard:        smartcard.CodeNoCard,
		mocksigner.WrongPIN:      smartcard.CodeWrongPIN,
		mocksigner.Cancelled:     smartcard.CodeCancelled,
		mocksigner.Hang:          smartcard.CodeTimeout,
		mocksigner.Reset:         smartcard.CodeUnreachable,
		mocksigner.Garbage:       smartcard.CodeGarbage,
		mocksigner.Truncated:     smartcard.CodeGarbage,
		mocksigner.MissingItem:   smartcard.CodeMismatch,
		mocksigner.ExtraItem:     smartcard.CodeMismatch,
		mocksigner.DuplicateItem: smartcard.CodeMismatch,
	}
	for name, code := range want {
		for _, n := range []int{1, 2, 5} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				t.Parallel()
				agent := connect(t, mocksigner.Options{CA: ca, Faults: []mocksigner.Fault{{Name: name, Rate: 1}}})
				result, err := agent.Sign(t.Context(), newJob(n, smartcard.RS256), nil)
				var e *smartcard.Error
				if !errors.As(err, &e) || e.Code != code || result != nil {
					t.Errorf("got %v, want code %s", err, code)
				}
			})
		}
	}
}

// The faults that the wire cannot show: an answer comes, and whoever verifies it must refuse it.
func TestFaultsForTheVerifier(t *testing.T) {
	ca := loadCA(t, newVault())
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate())
	chain := func(leaf *x509.Certificate) error {
		_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		return err
	}
	crlDER, err := ca.CRL(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	crl, err := x509.ParseRevocationList(crlDER)
	if err != nil || crl.CheckSignatureFrom(ca.Certificate()) != nil {
		t.Fatalf("the CRL is not the CA's: %v", err)
	}
	isRevoked := func(leaf *x509.Certificate) bool {
		return slices.ContainsFunc(crl.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
			return e.SerialNumber.Cmp(leaf.SerialNumber) == 0 && e.ReasonCode == 1 && e.RevocationTime.Before(time.Now())
		})
	}

	const n = 5
	last := []int{n - 1}
	tests := map[string]struct {
		wrong1, wrongN []int // items that do not verify, of one and of n
		user           string
		chain, revoked bool
	}{
		"":                            {user: "555086689106", chain: true},
		mocksigner.WrongSignature:     {wrong1: []int{0}, wrongN: []int{2}, user: "555086689106", chain: true},
		mocksigner.Swapped:            {wrong1: []int{0}, wrongN: append([]int{0}, last...), user: "555086689106", chain: true},
		mocksigner.OtherUser:          {user: "555086689107", chain: true},
		mocksigner.ExpiredCertificate: {user: "555086689106"},
		mocksigner.RevokedCertificate: {user: "555086689106", chain: true, revoked: true},
		mocksigner.UntrustedChain:     {user: "555086689106"},
	}
	for name, want := range tests {
		t.Run("fault "+name, func(t *testing.T) {
			o := mocksigner.Options{CA: ca}
			if name != "" {
				o.Faults = []mocksigner.Fault{{Name: name, Rate: 1}}
			}
			agent := connect(t, o)
			for count, bad := range map[int][]int{1: want.wrong1, n: want.wrongN} {
				job := newJob(count, smartcard.RS256)
				result, err := agent.Sign(t.Context(), job, nil)
				if err != nil {
					t.Fatal(err)
				}
				leaf := leafOf(t, result)
				if got := wrong(t, job, result); !slices.Equal(got, bad) {
					t.Errorf("of %d wrong: %v, want %v", count, got, bad)
				}
				if user, _, _ := strings.Cut(leaf.Subject.CommonName, "_"); user != want.user {
					t.Errorf("user %s, want %s", user, want.user)
				}
				if err := chain(leaf); (err == nil) != want.chain {
					t.Errorf("chain: %v, want held %v", err, want.chain)
				}
				if isRevoked(leaf) != want.revoked {
					t.Errorf("revoked %v, want %v", isRevoked(leaf), want.revoked)
				}
				switch name {
				case mocksigner.ExpiredCertificate:
					if !time.Now().After(leaf.NotAfter) || leaf.CheckSignatureFrom(ca.Certificate()) != nil {
						t.Error("not an expired card of the CA")
					}
				case mocksigner.UntrustedChain:
					if leaf.Issuer.String() != ca.Certificate().Subject.String() || !slices.Equal(leaf.AuthorityKeyId, ca.Certificate().SubjectKeyId) {
						t.Error("the impostor's name or key id gives it away")
					}
				}
			}
		})
	}
}

// Each name is in exactly one of the tables above, or is slow.
func TestEveryFaultIsNamed(t *testing.T) {
	got := slices.Sorted(slices.Values(mocksigner.Names()))
	if len(slices.Compact(slices.Clone(got))) != len(got) || len(got) != 17 {
		t.Errorf("names: %v", got)
	}
	for _, name := range got {
		if f, err := mocksigner.ParseFault(name); err != nil || f.Rate != 1 {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestSlow(t *testing.T) {
	ca := loadCA(t, newVault())
	agent := connect(t, mocksigner.Options{
		CA:     ca,
		Delay:  10 * time.Millisecond,
		Faults: []mocksigner.Fault{{Name: mocksigner.WrongSignature, Rate: 1}, {Name: mocksigner.Slow, Rate: 1, Delay: 40 * time.Millisecond}},
	})
	job := newJob(4, smartcard.RS256)
	began := time.Now()
	result, err := agent.Sign(t.Context(), job, nil)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("took %v for four items of 50 ms", took)
	}
	if len(wrong(t, job, result)) != 1 {
		t.Error("slow displaced the other fault")
	}
}

// draws is a source of chosen draws: each reading of eight bytes is one of them, as a share of the whole.
type draws struct{ next []float64 }

func (d *draws) Read(p []byte) (int, error) {
	clear(p)
	if len(p) == 8 && len(d.next) > 0 {
		v := uint64(d.next[0] * (1 << 53))
		for i := range 8 {
			p[7-i] = byte(v >> (8 * i))
		}
		d.next = d.next[1:]
	}
	return len(p), nil
}

func TestRates(t *testing.T) {
	agent := connect(t, mocksigner.Options{
		CA:   loadCA(t, newVault()),
		Rand: &draws{next: []float64{0.24, 0.25, 0.49, 0.25, 0.5, 0.99, 0.99}},
		Faults: []mocksigner.Fault{
			{Name: mocksigner.NoCard, Rate: 0.25},
			{Name: mocksigner.WrongPIN, Rate: 0.5},
			{Name: mocksigner.Cancelled, Rate: 0},
		},
	})
	for i, want := range []string{smartcard.CodeNoCard, smartcard.CodeWrongPIN, "", ""} {
		_, err := agent.Sign(t.Context(), newJob(1, smartcard.RS256), nil)
		var e *smartcard.Error
		if code := ""; errors.As(err, &e) {
			code = e.Code
			if code != want {
				t.Errorf("job %d: %s, want %q", i, code, want)
			}
		} else if err != nil || want != "" {
			t.Errorf("job %d: %v, want %q", i, err, want)
		}
	}
}

// A client chooses a fault by whom it asks to sign.
func TestFaultsOfUsers(t *testing.T) {
	agent := connect(t, mocksigner.Options{CA: loadCA(t, newVault()), Faults: []mocksigner.Fault{
		{Name: mocksigner.NoCard, Rate: 1, User: "*7"}, {Name: mocksigner.WrongPIN, Rate: 1, User: "*8"}, {Name: mocksigner.NoCard, Rate: 1, User: "*9"},
	}})
	for user, want := range map[string]string{
		"555086689106": "", "555086689107": smartcard.CodeNoCard, "555086689108": smartcard.CodeWrongPIN, "555086689109": smartcard.CodeNoCard,
	} {
		job := newJob(1, smartcard.RS256)
		job.Sub = user
		_, err := agent.Sign(t.Context(), job, nil)
		var e *smartcard.Error
		if code := ""; errors.As(err, &e) {
			code = e.Code
			if code != want {
				t.Errorf("%s: %s, want %q", user, code, want)
			}
		} else if err != nil || want != "" {
			t.Errorf("%s: %v, want %q", user, err, want)
		}
	}
}

func TestParseFault(t *testing.T) {
	good := map[string]mocksigner.Fault{
		"no_card":            {Name: "no_card", Rate: 1},
		"reset 0.1":          {Name: "reset", Rate: 0.1},
		"reset 25%":          {Name: "reset", Rate: 0.25},
		"reset 0":            {Name: "reset"},
		"slow":               {Name: "slow", Rate: 1},
		"slow 250ms":         {Name: "slow", Rate: 1, Delay: 250 * time.Millisecond},
		"slow 2s 50%":        {Name: "slow", Rate: 0.5, Delay: 2 * time.Second},
		"wrong_signature 1":  {Name: "wrong_signature", Rate: 1},
		"wrong_signature 1%": {Name: "wrong_signature", Rate: 0.01},
		"reset user 5550*7":  {Name: "reset", Rate: 1, User: "5550*7"},
		"slow user 7 5% 1s":  {Name: "slow", Rate: 0.05, Delay: time.Second, User: "7"},
	}
	for text, want := range good {
		if got, err := mocksigner.ParseFault(strings.Fields(text)...); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "gremlins", "No_Card", "reset 2", "reset -0.1", "reset NaN", "reset 101%", "reset often", "reset 0.1 0.2", "reset 5s", "slow 1s 2s", "slow -1s", "slow 2h", "reset user", "reset user [", "reset user 1 user 2"} {
		if got, err := mocksigner.ParseFault(strings.Fields(text)...); err == nil {
			t.Errorf("%q was accepted as %+v", text, got)
		}
	}
}
