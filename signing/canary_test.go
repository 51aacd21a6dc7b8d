package signing

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/store"
)

// Nothing secret or personal is logged, whatever happens: no token, no JWT or part of one, no payload, no
// signature, no user id, no secret of a browser, no name out of a certificate.
func TestNothingSecretIsLogged(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.StatusKey = "canary-status-key" })
	secrets := map[string]string{"user": person, "another user": "555086689107", "name in a certificate": "CANARY-NAME", "status key": "canary-status-key"}
	journey := func(name string) (*browser, accepted) {
		w.clock.advance(time.Second)
		jwt := w.jwt(RS256, 2)
		for i, part := range strings.Split(jwt, ".") {
			if i > 0 { // the header is the same for all, and short
				secrets[name+": JWT"] = part[:60]
			}
		}
		ticket := w.accept(jwt, "?state=CANARY-STATE")
		secrets[name+": token"], secrets[name+": token without dashes"] = ticket.Token, strings.ReplaceAll(ticket.Token, "-", "")
		b := visit(t, w.Service, ticket.RedirectURI)
		mustBe(t, b.open(ticket.RedirectURI), 200)
		for cookie, is := range b.cookies {
			secrets[name+": "+cookie] = strings.Split(is.Value, ".")[0]
		}
		secrets[name+": CSRF"] = b.csrf
		return b, ticket
	}
	for _, sent := range payloads(RS256, 2) {
		secrets["payload "+sent.ID] = sent.Payload[300:360]
		decoded, _ := base64.StdEncoding.DecodeString(sent.Payload)
		secrets["digest "+sent.ID] = digestOf(decoded)
	}

	b, ticket := journey("signed")
	b.sign()
	b.settled()
	signed := read[Response](t, w.fetch(ticket.Token))
	secrets["signature"], secrets["certificate"] = signed.Signatures[0].Signature[:40], signed.Certificate[:40]

	b, ticket = journey("cancelled")
	b.cancel()
	w.fetch(ticket.Token)
	mustRefuse(t, visit(t, w.Service, ticket.RedirectURI).open(ticket.RedirectURI), refused{409, "opened_elsewhere", ""})
	w.access = func(*http.Request) (Caller, error) { return Caller{Client: acme, User: "555086689107"}, nil }
	w.fetch(ticket.Token)
	w.post(w.Service, w.jwt(RS256, 1), "")
	w.access = nil

	for name, change := range map[string]func(*x509.Certificate){
		"another user": func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "555086689107_CANARY-NAME"} },
		"expired":      func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(1) },
		"untrusted": func(c *x509.Certificate) {
			c.Subject = pkix.Name{CommonName: person + "_CANARY-NAME"}
			c.EmailAddresses = []string{"CANARY-NAME@example.org"}
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		},
	} {
		card := w.agent.ca.issue(t, cardKey().Public(), change)
		w.agent.does(func(_ context.Context, job smartcard.Job, signed func(string)) (*smartcard.Result, error) {
			result := w.agent.well(job, signed)
			result.Certificate = card
			return result, nil
		})
		b, _ = journey(name)
		b.sign()
		b.settled()
	}
	w.agent.fails(&smartcard.Error{Code: smartcard.CodeNoCard, Message: "CANARY-NAME " + person, Item: "rx-000", Wire: person})
	b, _ = journey("no card")
	b.sign()
	b.settled()

	w.agent.does(nil)
	b, ticket = journey("store away")
	w.store.fail(func([]string) error { return away() }, nil)
	b.sign()
	w.fetch(ticket.Token)
	w.post(w.Service, w.jwt(RS256, 2), "")
	w.store.fail(nil, func(store.Batch) error { return away() })
	w.clock.advance(time.Second)
	w.post(w.Service, w.jwt(RS256, 2), "")
	w.store.fail(nil, nil)

	for _, path := range []string{"/signatureresponse/", "/signatureresponses/", "/page/", "/"} {
		answer(w.Service, newPath(path+ticket.Token))
		answer(w.Service, newPath(path+ticket.Token+"?token="+ticket.Token))
	}
	for _, jwt := range []string{"x", w.jwt(RS256, 1) + ".", sign(t, strangerKey(), with(header(), "kid", "x"), w.claimsFor(RS256, 1)),
		sign(t, strangerKey(), header(), w.claimsFor(RS256, 1)), sign(t, clientKey(), header(), with(w.claimsFor(RS256, 1), "exp", 1)),
		sign(t, clientKey(), header(), with(w.claimsFor(RS256, 1), "iss", "x"))} {
		w.post(w.Service, jwt, "?state=CANARY-STATE")
	}
	secrets["state"] = "CANARY-STATE"

	logged := w.logs.String()
	for _, line := range []string{"signing request accepted", "session opened", "session cancelled", "signing run ended", "signatures fetched", "request refused", "client=acme-epr"} {
		if !strings.Contains(logged, line) {
			t.Errorf("nothing was logged of %q", line)
		}
	}
	for name, secret := range secrets {
		if len(secret) < 10 {
			t.Errorf("%s: %q is no canary", name, secret)
		}
		if at := strings.Index(logged, secret); at >= 0 {
			t.Errorf("%s is in the log: …%s…", name, logged[max(0, at-200):at+len(secret)])
		}
	}
}
