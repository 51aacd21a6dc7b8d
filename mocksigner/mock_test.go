package mocksigner_test

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/mocksigner"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/smartcardtest"
)

// connect serves a mock over mutual TLS and returns an agent that may call it.
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
	idle := time.Minute // a slow machine must not look like a silent agent
	if len(o.Faults) > 0 && o.Faults[0].Name == mocksigner.Hang {
		idle = 500 * time.Millisecond
	}
	tlsCA := smartcardtest.NewCA(t)
	agent, err := smartcard.NewAgent(smartcard.AgentOptions{
		URL:       smartcardtest.Serve(t, tlsCA, tls.RequireAndVerifyClientCert, server),
		Transport: smartcardtest.Transport(t, tlsCA, tlsCA.Leaf(t, "gateway.internal")),
		Timeout:   2 * time.Minute,
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

// wrong returns the items whose signature does not verify with the result's certificate.
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
			t.Errorf("n=%d: got %d items reported, wrong: %v", n, heard, bad)
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
		t.Error("got another card for the same user in the next job")
	}
	if health, err := agent.Health(t.Context()); err != nil || !health.Ready || !strings.Contains(health.Subject, "MOCK") {
		t.Errorf("got health %+v, error %v", health, err)
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
		t.Errorf("got subject %s", leaf.Subject)
	case !isRSA || key.N.BitLen() != 2048:
		t.Errorf("got key %T", leaf.PublicKey)
	case leaf.NotBefore.After(now.Add(-23*time.Hour)) || leaf.NotAfter.Before(now.Add(364*24*time.Hour)) || leaf.NotAfter.After(ca.Certificate().NotAfter):
		t.Errorf("got validity from %v to %v", leaf.NotBefore, leaf.NotAfter)
	case leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageContentCommitment|x509.KeyUsageDigitalSignature:
		t.Errorf("got CA %v, key usage %b", leaf.IsCA, leaf.KeyUsage)
	case len(leaf.SubjectKeyId) == 0 || !slices.Equal(leaf.AuthorityKeyId, ca.Certificate().SubjectKeyId) || len(leaf.CRLDistributionPoints) > 0:
		t.Error("got wrong key ids or distribution points")
	}
	for _, ext := range leaf.Extensions {
		if ext.Id.String() == "2.5.29.15" && !ext.Critical {
			t.Error("key usage is not critical")
		}
	}
}

// Concurrent jobs share one key, the cards and the source of randomness.
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
			t.Errorf("%s: got no error", name)
		}
	}
}
