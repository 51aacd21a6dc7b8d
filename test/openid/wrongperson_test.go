package openid_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// turnedAway holds that the browser is sent back to the page, without the token in its address, and that the page does
// not open and says why. It returns what the page is told.
func (p *signingPage) turnedAway(what, why string, to *url.URL) answer {
	p.t.Helper()
	id := to.Query().Get("session")
	if to.String() != p.base+"/client?session="+id || id == "" {
		p.t.Fatalf("%s: sent to %s", what, to)
	}
	a := p.call("/client/open", `{"id":"`+id+`"}`)
	if a.status != http.StatusForbidden || a.field("code") != "sign_in" || a.reason() != why {
		p.t.Errorf("%s: the page is told %d %s, want the reason %s", what, a.status, a.body, why)
	}
	return a
}

// reason is the code of an error's reason, or nothing.
func (a answer) reason() string {
	var told struct{ Reason struct{ Code string } }
	_ = json.Unmarshal([]byte(a.body), &told)
	return told.Reason.Code
}

// Each sign-in that does not count has a word of its own, wherever the client or the operator looks. The provider asks
// anew who is there, though it remembers the wrong person.
func TestTheWrongPersonAtThePage(t *testing.T) {
	w := newWorld(t, func(w *world) { w.signs = "sign_in" })
	w.MustNotLog("Bob Made-Up", "Carol Made-Up")
	application := w.application(t, "acme")
	for _, c := range []struct{ why, sub, who, told string }{
		{client.ReasonWrongUser, alice, bob, `"sub":"` + alice + `","user":"` + bob + `","name":"Bob Made-Up","level":3,"least":3`},
		{client.ReasonInsufficientLevel, carol, carol, `"sub":"` + carol + `","user":"` + carol + `","name":"Carol Made-Up","level":2,"least":3`},
		{client.ReasonInsufficientLevel, dave, dave, `"sub":"` + dave + `","user":"` + dave + `","name":"Dave Made-Up","least":3`},
		{client.ReasonAccessDenied, alice, "", ""},
	} {
		t.Run(c.why+" "+c.who, func(t *testing.T) {
			p := newPerson(t)
			asked := w.request(t, "acme", application, c.sub, gateway.Payloads("RS256", 1)...)
			page := w.page(t, p, asked.field("redirectUri"))
			begun := page.call("/client/open", page.opening())
			back := p.signIn(w.issuer, begun.field("signInUri"), c.who)
			refused := p.get(back)
			told := page.turnedAway("the page", c.why, refused.location(t))
			if !strings.Contains(told.body, c.told) || strings.Contains(begun.field("signInUri"), "prompt=") || !strings.Contains(told.field("signInUri"), "prompt=login") {
				t.Errorf("the page is told %s", told.body)
			}
			fetch := func() answer {
				return newPerson(t).get(w.signing()+"/signatureresponse/"+asked.field("token"), "Authorization", "Bearer "+application)
			}
			if a := fetch(); a.status != http.StatusBadRequest || a.field("message") != "Signature request has not been downloaded yet" || a.reason() != c.why {
				t.Errorf("the client is told %d %s", a.status, a.body)
			}
			if said, err := gateway.Run(nil, gateway.Binary(t), "countersign", "why", "--address", "127.0.0.1:"+w.Port("ADMIN"), refused.header.Get("X-Request-Id")); err != nil || !strings.Contains(string(said), c.why) {
				t.Errorf("why says %s, %v", said, err)
			}
			if c.who != "" && !strings.Contains(w.audit(t), `"came":"`+c.who+`","algorithm"`) {
				t.Error("the audit log does not say who came")
			}
			id := refused.location(t).Query().Get("session")
			ended := page.call("/client/cancel", `{"id":"`+id+`"}`)
			want := w.callback + "?token=" + asked.field("token") + "&state=s&error=access_denied&error_description=" + c.why + "&error_reason=" + c.why
			if ended.status != http.StatusOK || ended.field("state") != "cancelled" || ended.field("redirectUri") != want {
				t.Errorf("cancelled: %d %s", ended.status, ended.body)
			}
			if a := fetch(); a.status != http.StatusGone || a.field("code") != "cancelled" || a.reason() != c.why {
				t.Errorf("then the client is told %d %s", a.status, a.body)
			}
			if a := p.get(w.signing() + "/client?session=" + id); a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("the page may be kept: %v", a.header)
			}
		})
	}
	t.Run("and then the right one", func(t *testing.T) {
		p := newPerson(t)
		asked := w.request(t, "acme", application, alice, gateway.Payloads("RS256", 1)...)
		page := w.page(t, p, asked.field("redirectUri"))
		for _, who := range []string{bob, "", bob} {
			begun := page.call("/client/open", page.opening())
			to := p.get(p.signIn(w.issuer, begun.field("signInUri"), who)).location(t)
			if who != "" { // the provider remembers Bob, and asks all the same
				page.turnedAway("Bob", client.ReasonWrongUser, to)
			} else {
				page.turnedAway("nobody", client.ReasonAccessDenied, to)
			}
		}
		begun := page.call("/client/open", page.opening())
		if to := p.get(p.signIn(w.issuer, begun.field("signInUri"), alice)).location(t); to.String() != w.signing()+"/client?"+page.query {
			t.Fatalf("Alice is sent to %s", to)
		}
		opened := page.call("/client/open", page.opening())
		if opened.status != http.StatusOK || !strings.Contains(opened.body, `"items":[{`) {
			t.Fatalf("%d %s", opened.status, opened.body)
		}
		if a := page.call("/client/sign", `{"id":"`+opened.field("id")+`"}`); a.status != http.StatusAccepted {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}
