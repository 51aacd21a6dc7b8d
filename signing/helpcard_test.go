package signing

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
)

var cardKey = sync.OnceValue(func() *rsa.PrivateKey { return newRSA(2048) })

// authority is an issuer of card certificates.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert: cert, key: key}
}

func (a *authority) certificate(context.Context) (*x509.Certificate, error) { return a.cert, nil }

// issue makes the certificate of a card; change may alter what stands in it.
func (a *authority) issue(t testing.TB, public crypto.PublicKey, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: person + "_TESTER"},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageContentCommitment,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// signPayload signs as a card does.
func signPayload(t testing.TB, key *rsa.PrivateKey, algorithm string, payload []byte) []byte {
	t.Helper()
	var signature []byte
	var err error
	switch algorithm {
	case RS1:
		sum := sha1.Sum(payload)
		signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA1, sum[:])
	case RS256:
		sum := sha256.Sum256(payload)
		signature, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	case PS256:
		sum := sha256.Sum256(payload)
		signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	default:
		t.Errorf("a card is asked for algorithm %q", algorithm)
	}
	if err != nil {
		t.Error(err)
	}
	return signature
}

// fakeAgent signs in process with the card of its CA, or does what the test wants.
type fakeAgent struct {
	testing.TB
	ca   *authority
	card []byte // the certificate of cardKey

	mu     sync.Mutex
	sign   func(ctx context.Context, job smartcard.Job, signed func(string)) (*smartcard.Result, error)
	health func() (smartcard.Health, error)
	jobs   []smartcard.Job
}

func newFakeAgent(t testing.TB) *fakeAgent {
	t.Helper()
	ca := newAuthority(t, "Test MOCK CA")
	return &fakeAgent{TB: t, ca: ca, card: ca.issue(t, cardKey().Public(), nil)}
}

// does lets the agent answer from now on as sign does.
func (a *fakeAgent) does(sign func(ctx context.Context, job smartcard.Job, signed func(string)) (*smartcard.Result, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sign = sign
}

// fails lets every run end with the error.
func (a *fakeAgent) fails(err error) {
	a.does(func(context.Context, smartcard.Job, func(string)) (*smartcard.Result, error) { return nil, err })
}

// waits lets every run tell that it began, and then do nothing until it is stopped or released.
func (a *fakeAgent) waits() (began <-chan smartcard.Job, release chan<- struct{}) {
	started, goOn := make(chan smartcard.Job, 16), make(chan struct{})
	a.does(func(ctx context.Context, job smartcard.Job, signed func(string)) (*smartcard.Result, error) {
		started <- job
		select {
		case <-goOn:
			return a.well(job, signed), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	return started, goOn
}

// well signs the job as it should be.
func (a *fakeAgent) well(job smartcard.Job, signed func(string)) *smartcard.Result {
	result := &smartcard.Result{Certificate: a.card}
	for _, p := range job.Payloads {
		result.Signatures = append(result.Signatures, signPayload(a, cardKey(), job.Algorithm, p.Payload))
		signed(p.ID)
	}
	return result
}

// Sign implements Agent.
func (a *fakeAgent) Sign(ctx context.Context, job smartcard.Job, signed func(string)) (*smartcard.Result, error) {
	a.mu.Lock()
	a.jobs = append(a.jobs, job)
	sign := a.sign
	a.mu.Unlock()
	if sign != nil {
		return sign(ctx, job, signed)
	}
	return a.well(job, signed), nil
}

// Health implements Agent.
func (a *fakeAgent) Health(context.Context) (smartcard.Health, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.health != nil {
		return a.health()
	}
	return smartcard.Health{Ready: true, Card: "present"}, nil
}

// asked counts the runs.
func (a *fakeAgent) asked() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.jobs)
}
