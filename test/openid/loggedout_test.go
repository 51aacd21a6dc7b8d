package openid_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const itemsInPage = `document.querySelectorAll(".item").length`

// beside is another tab of the same browser.
func (b *tab) beside() *tab {
	b.t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	b.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		b.t.Fatal(err)
	}
	return &tab{b.t, ctx}
}

// signsIn puts a name into the provider's form.
func (b *tab) signsIn(name string) {
	b.t.Helper()
	b.waitFor("the provider's form", `document.querySelector("input[name=login]")`)
	if _, err := eval[bool](b, fmt.Sprintf(`(document.querySelector("input[name=login]").value = %q) && true`, name)); err != nil {
		b.t.Fatal(err)
	}
	b.press("Sign in")
}

// A person logs out at the provider: what they were to sign is gone from every tab, and no way back leads to it, until
// they sign in again. A colleague who signs in instead sees none of it. The end of the request ends it everywhere.
func TestChromiumAfterALogout(t *testing.T) {
	s := &system{t: t, payloads: gateway.Payloads("RS256", 3)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	s.w = newWorld(t, func(w *world) { w.signs, w.redirect, w.callback = "sign_in", s.URL+"/in", s.URL+"/signed" })
	b := newTab(t)
	b.goTo(s.URL + "/start")
	b.signsIn(alice)
	b.waitText("Sign 3 items for acme")
	b.waitFor("the items", itemsInPage+" === 3")
	address, err := eval[string](b, "location.href")
	if err != nil {
		t.Fatal(err)
	}
	watching, left, provider := b.beside(), b.beside(), b.beside()
	for _, other := range []*tab{watching, left} {
		other.goTo(address)
		other.waitFor("the items", itemsInPage+" === 3")
	}
	left.goTo(s.URL + "/elsewhere")

	provider.goTo(s.w.issuer + "/session/end")
	provider.press("Yes, sign me out")
	for _, open := range []*tab{b, watching} {
		open.waitText("You are signed out")
		open.waitFor("no items", itemsInPage+" === 0")
	}
	if _, err := eval[bool](left, "history.back() ?? true"); err != nil {
		t.Fatal(err)
	}
	left.waitFor("the provider's form in the place of the page that was left", `document.querySelector("input[name=login]")`)

	left.signsIn(bob)
	left.waitText("This request is for someone else")
	left.waitText("Bob Made-Up")
	left.waitFor("no items", itemsInPage+" === 0")
	left.press("Sign in as someone else")
	left.signsIn(alice) // the provider asks, though it remembers Bob
	for _, open := range []*tab{left, b, watching} {
		open.waitText("Sign 3 items for acme")
		open.waitFor("the items", itemsInPage+" === 3")
	}
	left.press("Cancel")
	left.press("Yes, cancel the request")
	for _, open := range []*tab{left, b, watching} {
		open.waitText("You cancelled this request")
		open.waitFor("no items", itemsInPage+" === 0")
	}
}
