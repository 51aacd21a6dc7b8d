package journey_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// The main job, end to end: request, page, card, verification, the way back, fetch.
func TestSigningJourney(t *testing.T) {
	w := newWorld(t, options{})
	for _, c := range []struct {
		client, kid, algorithm string
		n                      int
	}{
		{"acme", "acme-1", "RS1", 1}, {"acme", "acme-1", "RS1", 2}, {"acme", "acme-1", "RS1", 250},
		{"acme", "acme-1", "RS256", 1}, {"acme", "acme-1", "RS256", 2}, {"acme", "acme-1", "RS256", 250},
		{"pss", "pss-1", "PS256", 1}, {"pss", "pss-1", "PS256", 250},
	} {
		t.Run(fmt.Sprintf("%s/%d", c.algorithm, c.n), func(t *testing.T) {
			system := w.system("main")
			system.ID, system.Kid = c.client, c.kid
			// The last item is of a document with a Reference by URI, which xmlsec1 can judge as a whole.
			document := gateway.NewDocument(c.algorithm, fmt.Sprintf("rx-%d", c.n))
			payloads := gateway.Payloads(c.algorithm, c.n)
			payloads[c.n-1] = gateway.Payload{ID: "urn:uuid:a document with=odd+characters/" + document.ID, Payload: base64.StdEncoding.EncodeToString(document.SignedInfo)}

			accepted := w.request(t, system, c.algorithm, "e30=", payloads...)
			if want := system.Base + "/client?token=" + accepted.Token + "&state=e30="; accepted.RedirectURI != want {
				t.Fatalf("redirectUri %s, want %s", accepted.RedirectURI, want)
			}
			browser := gateway.Visit(t, accepted.RedirectURI)
			view := browser.Open()
			if view.State != "opened" || view.Total != c.n || view.Sub != person || len(view.Items) != c.n || view.Items[c.n-1].ID != payloads[c.n-1].ID {
				t.Fatalf("the page was told %+v", view)
			}
			browser.Sign()
			view = browser.Await("the end", patience, gateway.View.Over)
			if view.State != "signed" || view.Signed != c.n {
				t.Fatalf("ended %q with %d of %d: %+v", view.State, view.Signed, c.n, view.Reason)
			}
			if want := callback + "&token=" + accepted.Token + "&state=e30="; view.Redirect != want {
				t.Errorf("the way back is %s, want %s", view.Redirect, want)
			}

			signed := system.Fetch(t, accepted.Token)
			signed.Verify(t, c.algorithm, payloads)
			if again := system.Fetch(t, accepted.Token); fmt.Sprint(again) != fmt.Sprint(signed) {
				t.Error("a second fetch gives something else")
			}
			verifier := gateway.NewVerifier(t, c.algorithm, signed.Certificate)
			if c.algorithm != "PS256" { // Debian's xmlsec1 knows no PSS
				if err := verifier.VerifyXML(document.Signed(signed.Signatures[c.n-1].Signature)); err != nil {
					t.Error(err)
				}
			}
			subject, err := gateway.Run(nil, "openssl", "x509", "-in", verifier.Certificate(), "-noout", "-subject")
			if err != nil {
				t.Fatal(err)
			}
			if s := string(subject); !strings.Contains(s, person) || !strings.Contains(strings.ToUpper(s), "MOCK") {
				t.Errorf("the certificate is of %s: it should name the person, and say that it is a mock", s)
			}
		})
	}
}

// A request of nearly 2 MiB is taken, and its payloads need not be XML.
func TestLargestRequest(t *testing.T) {
	w := newWorld(t, options{})
	system := w.system("main")
	payloads := make([]gateway.Payload, 250)
	for i := range payloads {
		text := fmt.Sprintf("%04d", i) + strings.Repeat("not compressible by much, but somewhat. ", 115)
		payloads[i] = gateway.Payload{ID: fmt.Sprintf("p%d", i), Payload: base64.StdEncoding.EncodeToString([]byte(text))}
	}
	jwt := system.JWT(t, "RS256", payloads...)
	if len(jwt) > 2<<20 || len(jwt) < 19<<16 {
		t.Fatalf("the test's request has %d bytes", len(jwt))
	}
	answer := system.Post(t, jwt, "")
	if answer.Status != 200 {
		t.Fatalf("a request of %d bytes: %d %.200s", len(jwt), answer.Status, answer.Body)
	}
	var accepted gateway.Accepted
	answer.JSON(t, &accepted)
	if view := gateway.Visit(t, accepted.RedirectURI).SignToEnd(); view.State != "signed" {
		t.Fatalf("ended %q: %+v", view.State, view.Reason)
	}
	system.Fetch(t, accepted.Token).Verify(t, "RS256", payloads)
}

// What the client's system sends as state comes back byte for byte, in both addresses (SIG-1.3, SIG-1.14).
func TestStateComesBackByteForByte(t *testing.T) {
	w := newWorld(t, options{})
	system := w.system("main")
	for _, state := range []string{"e30=", "a+b", "%2B", "=", "==", "a%20b", "%e2%82%ac", "%E2%82%AC", "a/b?c", "~-._!*'()", strings.Repeat("x", 1024)} {
		t.Run(fmt.Sprintf("%.20s", state), func(t *testing.T) {
			accepted := w.request(t, system, "RS256", state, gateway.Payloads("RS256", 1)...)
			if want := system.Base + "/client?token=" + accepted.Token + "&state=" + state; accepted.RedirectURI != want {
				t.Fatalf("redirectUri %s, want %s", accepted.RedirectURI, want)
			}
			view := gateway.Visit(t, accepted.RedirectURI).SignToEnd()
			if want := callback + "&token=" + accepted.Token + "&state=" + state; view.Redirect != want {
				t.Errorf("the way back is %s, want %s", view.Redirect, want)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		accepted := w.request(t, system, "RS256", "", gateway.Payloads("RS256", 1)...)
		view := gateway.Visit(t, accepted.RedirectURI).SignToEnd()
		if view.Redirect != callback+"&token="+accepted.Token {
			t.Errorf("the way back is %s", view.Redirect)
		}
	})
	t.Run("over 1 KiB", func(t *testing.T) {
		answer := system.Post(t, system.JWT(t, "RS256", gateway.Payloads("RS256", 1)...), strings.Repeat("x", 1025))
		mustRefuse(t, answer, refusal{status: 400})
	})
}
