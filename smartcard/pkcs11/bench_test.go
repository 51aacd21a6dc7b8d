package pkcs11_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
)

// BenchmarkAgent measures a job of 250 through agent, pipe and child, with the answer discarded, against the same
// module's bare calls in this process. One iteration is one round of each.
func BenchmarkAgent(b *testing.B) {
	readers := pkcs11test.New(b)
	card := readers.Insert("card", "1234")
	card.Add(pkcs11test.Key{User: anna})
	bare := card.Open(b)
	agent, err := pkcs11.New(pkcs11.Options{
		Module: pkcs11test.Module, Child: []string{os.Args[0], "pkcs11-child"}, Env: append(pkcs11.Environ(), readers.Env()...), PIN: &person{pin: "1234"},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer agent.Close()
	server, err := smartcard.NewServer(smartcard.ServerOptions{Signer: agent, AllowClients: []string{"gateway"}})
	if err != nil {
		b.Fatal(err)
	}
	work := job(anna, smartcard.RS256, 250)
	var texts [][]byte
	for i := range work.Payloads {
		work.Payloads[i].Payload = []byte(strings.Repeat("<SignedInfo/>", 42)) // the typical size of a prescription's
		texts = append(texts, work.Payloads[i].Payload)
	}
	body, err := json.Marshal(work)
	if err != nil {
		b.Fatal(err)
	}
	whole := func() {
		request := httptest.NewRequest(http.MethodPost, "/sign", strings.NewReader(string(body)))
		request.Header.Set("Content-Type", "application/json")
		request.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{DNSNames: []string{"gateway"}}}}}
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, request)
		if !strings.Contains(answer.Body.String(), `"signed":250,"failed":0`) {
			b.Fatalf("got status %d, body %.200s", answer.Code, answer.Body)
		}
	}
	whole() // loads the module before measuring
	bare.Sign(b, texts)
	var ours, theirs []pkcs11test.Cost
	for b.Loop() {
		theirs = append(theirs, pkcs11test.Measure(b, func() { bare.Sign(b, texts) }))
		ours = append(ours, pkcs11test.Measure(b, whole, "pkcs11-child"))
	}
	pkcs11test.Report(b, "agent", ours, theirs, len(texts))
}
