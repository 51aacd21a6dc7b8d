package cards_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// BenchmarkCards is 250 signatures from the press of the button to the verified and stored result, through gateway,
// mutual TLS, agent and child, against the same module's 250 bare calls. One iteration is one round of each.
func BenchmarkCards(b *testing.B) {
	readers := pkcs11test.New(b)
	card := readers.Insert("anna", secret)
	card.Add(pkcs11test.Key{User: anna})
	w := newWorld(b, readers, strings.Replace(storedPIN, "{faulty}", pkcs11test.Module, 1))
	bare := card.Open(b)
	payloads := gateway.Payloads("RS256", 250)
	var texts [][]byte
	for _, p := range payloads {
		texts = append(texts, []byte(p.Payload)[:541])
	}
	var browser *gateway.Browser // at a page that waits for the button
	whole := func() {
		browser.Sign()
		look := time.NewTicker(10 * time.Millisecond) // to look oftener would take the processor from what is measured
		defer look.Stop()
		for {
			switch view := browser.View(); view.State {
			case "signed":
				return
			case "signing":
				<-look.C
			default:
				b.Fatalf("ended %q: %+v", view.State, view.Reason)
			}
		}
	}
	visit := func() {
		judged, _ := w.visit(b, anna, 250)
		browser = judged.Unjudged()
	}
	visit()
	whole() // the module is loaded once
	bare.Sign(b, texts)
	var ours, theirs []pkcs11test.Cost
	for b.Loop() {
		theirs = append(theirs, pkcs11test.Measure(b, func() { bare.Sign(b, texts) }))
		visit()
		ours = append(ours, pkcs11test.Measure(b, whole, "pkcs11-child", "--adapter")) // child and gateway
	}
	pkcs11test.Report(b, "gateway", ours, theirs, len(texts))
}
