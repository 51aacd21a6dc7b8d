package pkcs11_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/child"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pin"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
	"github.com/seed-dd2befc3/countersign/smartcard/smartcardtest"
)

const (
	anna = "555086689106"
	ben  = "555086689107"
)

// TestMain makes the test binary its own child process, like the gateway's binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "pkcs11-child" {
		if err := child.Main(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// person types a PIN and counts the prompts.
type person struct {
	pin    string
	err    error
	stored bool

	mu       sync.Mutex
	asked    []pin.Prompt
	given    [][]byte
	rejected int
}

func (p *person) Ask(_ context.Context, prompt pin.Prompt) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, prompt)
	secret := []byte(p.pin)
	p.given = append(p.given, secret)
	return secret, p.err
}

func (p *person) Stored() bool { return p.stored }

func (p *person) Rejected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rejected++
}

// desk is an agent with SoftHSM2 tokens, and a gateway that calls it over mutual TLS.
type desk struct {
	*pkcs11test.Readers
	agent  *pkcs11.Agent
	client *smartcard.Agent
	person *person
}

func newDesk(t *testing.T, readers *pkcs11test.Readers, change func(*pkcs11.Options)) *desk {
	t.Helper()
	d := &desk{Readers: readers, person: &person{pin: "1234"}}
	options := pkcs11.Options{
		Module: readers.Faulty, Child: []string{os.Args[0], "pkcs11-child"}, Env: append(pkcs11.Environ(), readers.Env()...), PIN: d.person,
	}
	if change != nil {
		change(&options)
	}
	var err error
	if d.agent, err = pkcs11.New(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.agent.Close)
	server, err := smartcard.NewServer(smartcard.ServerOptions{Signer: d.agent, AllowClients: []string{"gateway"}})
	if err != nil {
		t.Fatal(err)
	}
	ca := smartcardtest.NewCA(t)
	url := smartcardtest.Serve(t, ca, tls.RequireAndVerifyClientCert, server)
	d.client, err = smartcard.NewAgent(smartcard.AgentOptions{URL: url, Transport: smartcardtest.Transport(t, ca, ca.Leaf(t, "gateway"))})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func job(sub, algorithm string, n int) smartcard.Job {
	j := smartcard.Job{Job: "0b5c5fd8-8a5f-4b46-8a5b-3d8de2d0a1f7", Sub: sub, Client: "Acme EPR", Algorithm: algorithm}
	for i := range n {
		j.Payloads = append(j.Payloads, smartcard.Payload{ID: fmt.Sprintf("rx-%d", i), Payload: fmt.Appendf(nil, "prescription %d of %d", i, n)})
	}
	return j
}

// mustSign signs a job and verifies every signature.
func (d *desk) mustSign(t *testing.T, j smartcard.Job, by *x509.Certificate) {
	t.Helper()
	result, err := d.client.Sign(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(result.Certificate) != string(by.Raw) {
		t.Fatal("got another certificate than the card's")
	}
	key := by.PublicKey.(*rsa.PublicKey)
	for i, p := range j.Payloads {
		if err := verify(key, j.Algorithm, p.Payload, result.Signatures[i]); err != nil {
			t.Fatalf("item %d: got error %v", i, err)
		}
	}
}

func verify(key *rsa.PublicKey, algorithm string, text, signature []byte) error {
	one, two := sha1.Sum(text), sha256.Sum256(text)
	switch algorithm {
	case smartcard.RS1:
		return rsa.VerifyPKCS1v15(key, crypto.SHA1, one[:], signature)
	case smartcard.RS256:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, two[:], signature)
	}
	return rsa.VerifyPSS(key, crypto.SHA256, two[:], signature, &rsa.PSSOptions{SaltLength: 32})
}

// mustFail expects a job to fail with a code, and returns the error.
func (d *desk) mustFail(t *testing.T, j smartcard.Job, code string) *smartcard.Error {
	t.Helper()
	_, err := d.client.Sign(t.Context(), j, nil)
	var failed *smartcard.Error
	if !errors.As(err, &failed) || failed.Code != code {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	if failed.Message == "" {
		t.Errorf("code %s: got no message for the person", code)
	}
	return failed
}

// short is the timeout of calls where one hangs. Later steps have the same timeout, so it is long enough for a busy
// machine.
const short = 5 * time.Second
