package mocksigner_test

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/mocksigner"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/smartcardtest"
)

// vault is a mocksigner.Vault in memory.
type vault struct {
	turn chan struct{} // holds one token while locked

	mu    sync.Mutex
	kept  map[string][]byte
	saves int
}

func newVault() *vault { return &vault{turn: make(chan struct{}, 1), kept: map[string][]byte{}} }

func (v *vault) Load(_ context.Context, name string) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	value, ok := v.kept[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(value), nil
}

func (v *vault) Save(_ context.Context, name string, value []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.turn) == 0 {
		return errors.New("saved without holding the lock")
	}
	v.kept[name] = slices.Clone(value)
	v.saves++
	return nil
}

func (v *vault) Lock(ctx context.Context, _ string) error {
	select {
	case v.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *vault) Unlock(context.Context, string) error {
	<-v.turn
	return nil
}

func loadCA(t *testing.T, v mocksigner.Vault) *mocksigner.CA {
	t.Helper()
	ca, err := mocksigner.LoadCA(t.Context(), v, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// connect serves a mock over mutual TLS and returns an agent that may ask it.
func connect(t *testing.T, o mocksigner.Options) *smartcard.Agent {
	t.Helper()
	mock, err := mocksigner.New(o)
	if err != nil {
		t.Fatal(err)
	}
	server, err := smartcard.NewServer(smartcard.ServerOptions{Signer: mock, AllowClients: []string{"gateway.internal"}})
	if err != nil {
		t.Fatal(err)
	}
	idle := 30 * time.Second // a slow machine must not look like a silent agent
	if len(o.Faults) > 0 && o.Faults[0].Name == mocksigner.Hang {
		idle = 500 * time.Millisecond
	}
	tlsCA := smartcardtest.NewCA(t)
	agent, err := smartcard.NewAgent(smartcard.AgentOptions{
		URL:       smartcardtest.Serve(t, tlsCA, tls.RequireAndVerifyClientCert, server),
		Transport: smartcardtest.Transport(t, tlsCA, tlsCA.Leaf(t, "gateway.internal")),
		Timeout:   time.Minute,
		Idle:      idle,
	})
	if err != nil {
		t.Fatal(err)
	}
	return agent
}

func newJob(n int, algorithm string) smartcard.Job {
	job := smartcard.Job{Job: "0b5c5fd8-8a5f-4b46-8a5b-3d8de2d0a1f7", Sub: "555086689106", Client: "Acme EPR", Algorithm: algorithm}
	for i := range n {
		job.Payloads = append(job.Payloads, smartcard.Payload{ID: fmt.Sprintf("item-%d", i), Payload: fmt.Appendf(nil, "<SignedInfo>%d</SignedInfo>", i)})
	}
	return job
}

func leafOf(t *testing.T, r *smartcard.Result) *x509.Certificate {
	t.Helper()
	leaf, err := x509.ParseCertificate(r.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// wrong lists the items whose signature does not verify with the result's certificate.
func wrong(t *testing.T, job smartcard.Job, r *smartcard.Result) (items []int) {
	t.Helper()
	leaf := leafOf(t, r)
	for i, p := range job.Payloads {
		if leaf.CheckSignature(x509.SHA256WithRSA, p.Payload, r.Signatures[i]) != nil {
			items = append(items, i)
		}
	}
	return items
}

func TestMockSigns(t *testing.T) {
	ca := loadCA(t, newVault())
	agent := connect(t, mocksigner.Options{CA: ca})
	for _, n := range []int{1, 2, 250} {
		job := newJob(n, smartcard.RS256)
		began, heard := time.Now(), 0
		result, err := agent.Sign(t.Context(), job, func(string) { heard++ })
		if err != nil {
			t.Fatal(err)
		}
		if bad := wrong(t, job, result); len(bad) > 0 || heard != n {
			t.Errorf("n=%d: %d heard, wrong: %v", n, heard, bad)
		}
		t.Logf("%d items in %v", n, time.Since(began))
	}
	first, err := agent.Sign(t.Context(), newJob(1, smartcard.RS1), nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := agent.Sign(t.Context(), newJob(1, smartcard.PS256), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.Certificate, second.Certificate) {
		t.Error("a user's card changed from job to job")
	}
	if health, err := agent.Health(t.Context()); err != nil || !health.Ready || !strings.Contains(health.Subject, "MOCK") {
		t.Errorf("health: %+v, %v", health, err)
	}
}

func TestCard(t *testing.T) {
	ca := loadCA(t, newVault())
	now := time.Now()
	result, err := connect(t, mocksigner.Options{CA: ca}).Sign(t.Context(), newJob(1, smartcard.RS256), nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf := leafOf(t, result)
	key, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	switch {
	case leaf.Subject.String() != "CN=555086689106_MOCK_CARD,O=Countersign MOCK - not for clinical use":
		t.Errorf("subject %s", leaf.Subject)
	case !isRSA || key.N.BitLen() != 2048:
		t.Errorf("key %T", leaf.PublicKey)
	case leaf.NotBefore.After(now.Add(-23*time.Hour)) || leaf.NotAfter.Before(now.Add(364*24*time.Hour)) || leaf.NotAfter.After(ca.Certificate().NotAfter):
		t.Errorf("valid from %v to %v", leaf.NotBefore, leaf.NotAfter)
	case leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageContentCommitment|x509.KeyUsageDigitalSignature:
		t.Errorf("CA %v, key usage %b", leaf.IsCA, leaf.KeyUsage)
	case len(leaf.SubjectKeyId) == 0 || !slices.Equal(leaf.AuthorityKeyId, ca.Certificate().SubjectKeyId) || len(leaf.CRLDistributionPoints) > 0:
		t.Error("key ids or distribution points")
	}
	for _, ext := range leaf.Extensions {
		if ext.Id.String() == "2.5.29.15" && !ext.Critical {
			t.Error("key usage is not critical")
		}
	}
}

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

// Many jobs at once share one key, the cards and the source of randomness.
func TestManyAtOnce(t *testing.T) {
	agent := connect(t, mocksigner.Options{CA: loadCA(t, newVault()), Faults: []mocksigner.Fault{{Name: mocksigner.UntrustedChain, Rate: 0.5}}})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			job := newJob(3, smartcard.PS256)
			job.Sub = fmt.Sprintf("55508668910%d", i%3)
			if _, err := agent.Sign(t.Context(), job, nil); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestOptions(t *testing.T) {
	ca := loadCA(t, newVault())
	tests := map[string]mocksigner.Options{
		"no CA":            {},
		"negative delay":   {CA: ca, Delay: -1},
		"unknown fault":    {CA: ca, Faults: []mocksigner.Fault{{Name: "gremlins", Rate: 1}}},
		"a fault twice":    {CA: ca, Faults: []mocksigner.Fault{{Name: "reset", Rate: 1}, {Name: "reset", Rate: 0.5}}},
		"a rate above one": {CA: ca, Faults: []mocksigner.Fault{{Name: "reset", Rate: 1.1}}},
		"a CRL address":    {CA: ca, CRLURL: "crl.pem"},
	}
	for name, o := range tests {
		if _, err := mocksigner.New(o); err == nil {
			t.Errorf("%s was accepted", name)
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
	}
	for text, want := range good {
		if got, err := mocksigner.ParseFault(strings.Fields(text)...); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "gremlins", "No_Card", "reset 2", "reset -0.1", "reset NaN", "reset 101%", "reset often", "reset 0.1 0.2", "reset 5s", "slow 1s 2s", "slow -1s", "slow 2h"} {
		if got, err := mocksigner.ParseFault(strings.Fields(text)...); err == nil {
			t.Errorf("%q was accepted as %+v", text, got)
		}
	}
}

func TestLoadCA(t *testing.T) {
	v := newVault()
	t.Run("nodes that start together share one", func(t *testing.T) {
		serials := make(chan string, 8)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() { serials <- loadCA(t, v).Certificate().SerialNumber.String() })
		}
		group.Wait()
		close(serials)
		first := <-serials
		for s := range serials {
			if s != first {
				t.Error("two CAs")
			}
		}
		if v.saves != 2 {
			t.Errorf("%d saves", v.saves)
		}
	})
	t.Run("what it is", func(t *testing.T) {
		cert := loadCA(t, v).Certificate()
		if !strings.HasPrefix(cert.Subject.CommonName, "Countersign mock CA ") || !cert.IsCA || !cert.MaxPathLenZero || cert.MaxPathLen != 0 ||
			cert.NotAfter.Sub(cert.NotBefore) < 10*365*24*time.Hour || cert.NotBefore.After(time.Now().Add(-24*time.Hour)) || !strings.HasSuffix(cert.Subject.String(), ",O=Countersign MOCK - not for clinical use") {
			t.Errorf("%+v", cert)
		}
		if other := loadCA(t, newVault()).Certificate(); other.Subject.String() == cert.Subject.String() || other.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			t.Error("two installations have the same CA name")
		}
	})
	t.Run("half of one is none", func(t *testing.T) {
		half := newVault()
		half.kept[mocksigner.CAKeyName] = v.kept[mocksigner.CAKeyName]
		loadCA(t, half)
		if len(half.kept) != 2 {
			t.Error("not made whole")
		}
	})
	t.Run("an expired one is replaced", func(t *testing.T) {
		later := func() time.Time { return time.Now().Add(11 * 365 * 24 * time.Hour) }
		old := &vault{turn: make(chan struct{}, 1), kept: maps.Clone(v.kept)}
		ca, err := mocksigner.LoadCA(t.Context(), old, later, nil)
		if err != nil || !ca.Certificate().NotAfter.After(later()) {
			t.Errorf("%v", err)
		}
	})
	t.Run("a broken one is left alone", func(t *testing.T) {
		other := newVault()
		loadCA(t, other)
		for what, spoil := range map[string]func(map[string][]byte){
			"another's key":    func(m map[string][]byte) { m[mocksigner.CAKeyName] = other.kept[mocksigner.CAKeyName] },
			"no PEM":           func(m map[string][]byte) { m[mocksigner.CACertName] = []byte("x") },
			"two certificates": func(m map[string][]byte) { c := m[mocksigner.CACertName]; m[mocksigner.CACertName] = append(c, c...) },
		} {
			broken := &vault{turn: make(chan struct{}, 1), kept: map[string][]byte{}}
			for name, value := range v.kept {
				broken.kept[name] = slices.Clone(value)
			}
			spoil(broken.kept)
			if _, err := mocksigner.LoadCA(t.Context(), broken, nil, nil); err == nil || broken.saves > 0 || len(broken.turn) > 0 {
				t.Errorf("%s: %v, %d saves, locked %d", what, err, broken.saves, len(broken.turn))
			}
		}
	})
	t.Run("a vault that fails", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		busy := newVault()
		busy.turn <- struct{}{}
		if _, err := mocksigner.LoadCA(ctx, busy, nil, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}
