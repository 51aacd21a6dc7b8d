package browser_test

import (
	"net/http"
	"strings"
	"testing"
)

// scene is one look of the page: how it comes about and the heading that it has.
type scene struct {
	name    string
	total   int
	arrange func(*fake)
	act     func(*fake, *tab)
	heading string
}

func scenes() []scene {
	nothing := func(*fake) {}
	state := func(state string, why *reason) func(*fake) {
		return func(f *fake) {
			f.now(func(v *view) { v.Reason, v.Tries, v.TriesLeft = why, 1, 4 })
			f.mu.Lock()
			defer f.mu.Unlock()
			if state != "opened" {
				f.end(state)
			}
		}
	}
	refuse := func(status int, code, message string) func(*fake) {
		return func(f *fake) { f.refuse("open", status, code, message) }
	}
	away := func(why string, came wanted) func(*fake) {
		return func(f *fake) { f.turnAway(why, came) }
	}
	signing := func(f *fake, b *tab) {
		b.press("Sign 25 items for Demo EPR")
		b.waitHeading("Signing 25 items for Demo EPR")
		f.sign(9)
		b.waitText("9 of 25 signed")
	}
	return []scene{
		{name: "opened", total: 25, arrange: nothing, heading: "Sign 25 items for Demo EPR"},
		{name: "opened-one", total: 1, arrange: nothing, heading: "Sign 1 item for Demo EPR"},
		{name: "opened-mock", total: 3, arrange: func(f *fake) {
			f.now(func(v *view) { v.Mock, v.Environment = true, "int" })
		}, heading: "Sign 3 items for Demo EPR"},
		{name: "opened-long-name", total: 250, arrange: func(f *fake) {
			f.now(func(v *view) {
				v.Client = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch Teaching Hospitals"
			})
		}, heading: "Sign 250 items for Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch Teaching Hospitals"},
		{name: "opened-list", total: 250, arrange: nothing, act: func(_ *fake, b *tab) {
			b.press("The 250 items and their digests")
		}, heading: "Sign 250 items for Demo EPR"},
		{name: "opened-cancelling", total: 25, arrange: nothing, act: func(_ *fake, b *tab) {
			b.press("Cancel")
			b.waitText("Cancel this request?")
		}, heading: "Sign 25 items for Demo EPR"},
		{name: "opened-reason", total: 25, arrange: state("opened", &reason{Code: "no_card", Title: "No smartcard in the reader", Text: "Put your smartcard into the reader.", Retry: true}),
			heading: "No smartcard in the reader"},
		{name: "signing", total: 25, arrange: nothing, act: signing, heading: "Signing 25 items for Demo EPR"},
		{name: "signing-list", total: 25, arrange: nothing, act: func(f *fake, b *tab) {
			b.press("The 25 items and their digests")
			signing(f, b)
		}, heading: "Signing 25 items for Demo EPR"},
		{name: "signing-lost", total: 25, arrange: nothing, act: func(f *fake, b *tab) {
			signing(f, b)
			f.goDown(true)
			b.waitText("Connection lost, trying again…")
		}, heading: "Signing 25 items for Demo EPR"},
		{name: "signing-elsewhere", total: 25, arrange: func(f *fake) {
			f.now(func(v *view) { v.State, v.Local = "signing", true })
		}, heading: "Signing 25 items for Demo EPR"},
		{name: "signed", total: 25, arrange: func(f *fake) {
			f.sign(25)
			f.now(func(v *view) { v.State, v.RedirectURI = "signed", "about:blank#nowhere" })
		}, heading: "Signed"},
		{name: "failed", total: 25, arrange: state("failed", &reason{Code: "verification", Title: "The signatures do not hold", Text: "The smartcard's signatures do not belong to what was asked."}),
			heading: "The signatures do not hold"},
		{name: "failed-plain", total: 1, arrange: state("failed", nil), heading: "Nothing was signed"},
		{name: "cancelled", total: 25, arrange: state("cancelled", &reason{Code: "cancelled_by_person", Title: "You cancelled this request", Text: "Nothing was signed."}), heading: "You cancelled this request"},
		{name: "expired", total: 25, arrange: state("expired", &reason{Code: "expired", Title: "This request is too old", Text: "It was not signed in time."}), heading: "This request is too old"},
		{name: "away-wrong_user", total: 25, arrange: away("wrong_user", wanted{Sub: "555086689106", User: "555086689207", Name: "Dr Bob Made-Up", Level: 3, Least: 3}),
			heading: "This request is for someone else"},
		{name: "away-wrong_user-long", total: 25, arrange: away("wrong_user", wanted{Sub: "555086689106", User: strings.Repeat("u", 255), Name: strings.Repeat("Llanfair", 15), Least: 3}),
			heading: "This request is for someone else"},
		{name: "away-wrong_user-unknown", total: 25, arrange: away("wrong_user", wanted{}), heading: "This request is for someone else"},
		{name: "away-cancelling", total: 25, arrange: away("wrong_user", wanted{Sub: "555086689106", User: "555086689207", Level: 3, Least: 3}), act: func(_ *fake, b *tab) {
			b.press("Cancel")
			b.waitText("Cancel this request?")
		}, heading: "This request is for someone else"},
		{name: "away-insufficient_level", total: 25, arrange: away("insufficient_level", wanted{Sub: "555086689106", User: "555086689106", Level: 2, Least: 3}),
			heading: "A stronger sign-in is needed"},
		{name: "away-access_denied", total: 25, arrange: away("access_denied", wanted{}), heading: "You have not signed in"},
		{name: "away-sign_in_failed", total: 25, arrange: away("sign_in_failed", wanted{}), heading: "The sign-in did not work"},
		{name: "signed-out", total: 25, arrange: func(f *fake) { f.now(func(v *view) { v.SignedOut = true }) }, heading: "You are signed out"},
		{name: "refused-not_found", arrange: refuse(http.StatusNotFound, "not_found", "no such session"), heading: "This signing request cannot be found"},
		{name: "refused-opened_elsewhere", arrange: refuse(http.StatusConflict, "opened_elsewhere", "opened"), heading: "This request is open in another browser"},
		{name: "refused-expired", arrange: refuse(http.StatusGone, "expired", "gone"), heading: "The time to sign has run out"},
		{name: "refused-mock", arrange: refuse(http.StatusBadRequest, "mock", "no mock"), heading: "Signing with a simulated smartcard is not offered here"},
		{name: "refused-csrf", arrange: refuse(http.StatusForbidden, "csrf", "csrf"), heading: "This page has to be loaded again"},
		{name: "refused-origin", arrange: refuse(http.StatusForbidden, "origin", "origin"), heading: "This page has to be loaded again"},
		{name: "refused-unavailable", arrange: refuse(http.StatusServiceUnavailable, "unavailable", "full"), heading: "Signing is not possible at the moment"},
		{name: "refused-other", arrange: refuse(http.StatusBadRequest, "odd", "The odd thing happened."), heading: "Something went wrong"},
	}
}

// Every look of the page holds on a wide screen, at 320 pixels (which is also 400 % of 1280) and in forced
// colours, and axe-core finds nothing in it.
func TestEveryLookIsAccessible(t *testing.T) {
	for _, s := range scenes() {
		t.Run(s.name, func(t *testing.T) {
			f := newFake(t, s.total)
			s.arrange(f)
			b := newBrowser(t)
			b.goTo(f.link(""))
			if s.act != nil {
				s.act(f, b)
			}
			b.waitHeading(s.heading)
			b.accessible()
			b.fits()
			b.shot(s.name + "-1200")
			b.dark(true)
			b.accessible()
			if ground := eval[string](b, "getComputedStyle(document.documentElement).backgroundColor"); ground != "rgb(17, 23, 27)" {
				t.Errorf("in the dark, the page's ground is %s", ground)
			}
			b.shot(s.name + "-dark")
			b.dark(false)
			b.viewport(320, 800)
			b.fits()
			b.accessible()
			b.shot(s.name + "-320")
			b.forcedColours()
			b.shot(s.name + "-forced")

			if title := eval[string](b, "document.title"); !strings.HasSuffix(title, " – Signing Service") || strings.HasPrefix(title, "Opening") {
				t.Errorf("title %q", title)
			}
			focused := eval[string](b, "document.activeElement.id")
			if want := map[bool]string{true: "question", false: "heading"}[strings.HasSuffix(s.name, "-cancelling")]; focused != want {
				t.Errorf("focus is on %q, want %q", focused, want)
			}
		})
	}
}
