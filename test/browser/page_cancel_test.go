package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
)

// atThePrompt has the page believe that the browser's question is open. Without a head Chromium answers it by itself, at once.
const atThePrompt = `(() => { navigator.permissions.query = async () => ({ state: "prompt" }); return true; })()`

const tooLate = "It was too late to cancel"

// cancelNow confirms a cancel, whatever else the page is doing.
func (b *tab) cancelNow() {
	b.t.Helper()
	b.press("Cancel")
	b.press("Yes, cancel the request")
}

// here makes the person's own machine the way to a card.
func here(v *view) { v.Ways = []way{{Local: true}} }

// simulated makes it a mock that starts by itself.
func simulated(v *view) { v.Mock, v.Autostart = true, true }

func card(*view) {}

// A confirmed cancel is taken at any moment: in each state of the page, with any of its calls waiting for an answer that
// does not come, on each way to a card. What comes later changes nothing.
func TestCancelWithACallUnderWay(t *testing.T) {
	port := holdAgentPorts(t)
	const signing = "Signing 3 items for Demo EPR"
	success := returns(`{"status_code":0,"certificate":"QUJD","signatures":[{"id":"1","signature":"QUJD"}]}`)
	for name, c := range map[string]struct {
		way   func(*view)
		calls string // of the service, that hang: their last words
		verb  string // of the agent, that hangs
		until string // the heading that there is before the cancel; empty: that of before the press
		press bool   // whether the person has pressed Sign
	}{
		"nothing":                             {way: card},
		"how it stands, before the press":     {way: card, calls: "session"},
		"the press":                           {way: card, calls: "sign", press: true},
		"the press of a simulation":           {way: simulated, calls: "sign"},
		"how it stands, while a card signs":   {way: card, calls: "session", press: true, until: signing},
		"how it stands, in a simulation":      {way: simulated, calls: "session", until: signing},
		"the look for the agent, or a prompt": {way: here, verb: "GetPortNumber", press: true},
		"the press for this machine":          {way: here, calls: "sign", press: true},
		"the agent's negotiate":               {way: here, verb: "negotiate", press: true, until: signing},
		"the agent's connect":                 {way: here, verb: "connect", press: true, until: signing},
		"the agent's start":                   {way: here, verb: "start", press: true, until: signing},
		"the agent's signing":                 {way: here, verb: "send", press: true, until: signing},
		"the agent's signing, and all beside": {way: here, verb: "send", calls: "keep session", press: true, until: signing},
		"the agent's answer on its way to us": {way: here, calls: "answer", press: true, until: signing},
		"the agent's answer, and all beside":  {way: here, calls: "answer session", press: true, until: signing},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, 3)
			f.now(c.way)
			l := newLiar(t, f.URL, port)
			gate, undo := make(chan struct{}), []func(){}
			l.lies("send", success)
			if c.verb != "" {
				l.lies(c.verb, func(w http.ResponseWriter, r *http.Request) {
					<-gate
					if c.verb == "send" {
						success(w, r)
						return
					}
					l.honest(w, r, c.verb)
				})
			}
			letGo := func() {
				close(gate)
				for _, u := range undo {
					u()
				}
			}
			hanging := strings.Fields(c.calls)
			for _, path := range hanging {
				undo = append(undo, f.delay(path))
			}
			b := newBrowser(t)
			b.expectFault("has been blocked by CORS policy")
			b.goTo(f.link(""))
			eval[bool](b, atThePrompt)
			if c.press {
				b.press("Sign 3 items for Demo EPR")
			}
			if c.until != "" {
				b.waitHeading(c.until)
			}
			b.waitUntil("the calls to hang", func() bool {
				for _, path := range hanging {
					if len(f.sent(path)) == 0 {
						return false
					}
				}
				return c.verb == "" || l.times(c.verb) > 0
			})
			b.cancelNow()
			b.waitHeading("Nothing was signed")
			signs, answers, cancels := len(f.sent("sign")), len(f.sent("answer")), len(f.sent("cancel"))
			letGo()
			if link := eval[string](b, `[...document.links].at(-1).textContent`); link != "Return to Demo EPR without signing" {
				t.Errorf("the page offers %q", link)
			}
			if s, a, c := len(f.sent("sign")), len(f.sent("answer")), len(f.sent("cancel")); s != signs || a != answers || c != cancels || c != 1 {
				t.Errorf("after the cancel: sign was asked for %d times more, an answer brought %d times more, and %d cancels", s-signs, a-answers, c)
			}
			if c.verb == "connect" || c.verb == "start" || c.verb == "send" {
				b.waitUntil("the agent to be told", func() bool { return l.times("abort") > 0 })
			}
			b.waitHeading("Nothing was signed")
		})
	}
}

// While the browser waits for the provider at which the person is to sign in, the page is still there, and so is Cancel.
func TestCancelOnTheWayToASignIn(t *testing.T) {
	f, b := opened(t, 3)
	f.refuse("sign", http.StatusForbidden, "sign_in", "")
	// The page itself presses, since nobody else can reach a page that is about to go.
	eval[bool](b, `(() => {
		const press = (name) => [...document.querySelectorAll("button")].find((e) => e.textContent === name).click();
		fetch("/provider/asked").then(() => { press("Cancel"); press("Yes, cancel the request"); });
		return true;
	})()`)
	b.press("Sign 3 items for Demo EPR")
	b.waitUntil("the cancel", func() bool { return len(f.sent("cancel")) == 1 })
	b.waitHeading("Nothing was signed")
}

// A cancel that gets no answer, or is refused for the moment, is sent again until it is taken; and meanwhile nothing that
// says otherwise is shown.
func TestACancelIsRepeatedUntilItIsTaken(t *testing.T) {
	for name, away := range map[string]func(*fake) (undo func()){
		"no connection": func(f *fake) func() { f.goDown(true); return func() { f.goDown(false) } },
		"unavailable": func(f *fake) func() {
			f.refuse("cancel", http.StatusServiceUnavailable, "unavailable", "")
			return func() { f.refuse("cancel", 0, "", "") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, b := opened(t, 3)
			b.press("Sign 3 items for Demo EPR")
			b.waitHeading("Signing 3 items for Demo EPR")
			undo := away(f)
			b.cancelNow()
			b.waitHeading("Cancelling…")
			b.waitText("Connection lost, trying again…")
			b.accessible()
			b.shot("cancelling")
			undo()
			b.waitHeading("Nothing was signed")
		})
	}
}

// A cancel that the service refuses for good is not taken for one.
func TestARefusedCancelIsTold(t *testing.T) {
	f, b := opened(t, 3)
	f.refuse("cancel", http.StatusNotFound, "not_found", "")
	b.cancelNow()
	b.waitHeading("The service did not take your cancel")
	b.accessible()
	b.shot("cancel-refused")
	if b.shows("Nothing was signed") {
		t.Error("the page says that nothing was signed, which it does not know")
	}
}

// Signatures that were released first stay released, and the page says so and does not hurry on.
func TestACancelThatIsTooLate(t *testing.T) {
	t.Run("on its way", func(t *testing.T) {
		f, b := opened(t, 3)
		b.press("Sign 3 items for Demo EPR")
		b.waitHeading("Signing 3 items for Demo EPR")
		undo := f.delay("session")
		defer undo()
		f.now(func(*view) { f.end("signed") })
		b.cancelNow()
		b.waitHeading(tooLate)
		b.accessible()
		b.shot("cancel-too-late")
		undo()
		b.press("Continue to Demo EPR")
		b.waitHeading("Back at the client")
	})
	t.Run("not confirmed yet", func(t *testing.T) {
		f, b := opened(t, 3)
		b.press("Sign 3 items for Demo EPR")
		b.waitHeading("Signing 3 items for Demo EPR")
		b.press("Cancel")
		b.waitText("Once all items are signed, they are handed to Demo EPR and can no longer be cancelled.")
		b.accessible()
		b.shot("cancel-question")
		f.now(func(*view) { f.end("signed") })
		b.waitHeading("It is too late to cancel")
		if n := len(f.sent("cancel")); n != 0 {
			t.Errorf("cancelled %d times without a confirmation", n)
		}
	})
}

// The question stays under the person's hand when the state changes around it.
func TestTheQuestionStays(t *testing.T) {
	f, b := opened(t, 3)
	undo := f.delay("sign")
	b.press("Sign 3 items for Demo EPR")
	b.press("Cancel")
	undo()
	b.waitHeading("Signing 3 items for Demo EPR")
	if focused := eval[string](b, "document.activeElement.id"); focused != "question" {
		t.Errorf("the focus was taken to %q", focused)
	}
	b.press("No, go on signing")
	b.waitFor("focus back on Cancel", `document.activeElement.textContent === "Cancel"`)
	b.cancelNow()
	b.waitHeading("Nothing was signed")
}

// With the built binary: the person cancels while the browser asks whether the page may reach this device, and then
// allows it. Nothing is signed.
func TestCancelAtThePromptOfTheBrowser(t *testing.T) {
	d := newDesk(t, desktop{none: true})
	l := newLiar(t, d.URL("GATEWAY", ""), d.port)
	allow := make(chan struct{})
	l.lies("GetPortNumber", func(w http.ResponseWriter, r *http.Request) {
		<-allow
		l.honest(w, r, "GetPortNumber")
	})
	b := d.open(t, 2, browser.PermissionSettingGranted)
	b.waitHeading("Sign 2 items for Acme EPR")
	eval[bool](b, atThePrompt)
	b.press("Sign 2 items for Acme EPR")
	b.waitText("Your browser is about to ask")
	b.waitUntil("the look for the agent", func() bool { return l.times("GetPortNumber") > 0 })
	b.cancelNow()
	b.waitHeading("You cancelled this request")
	close(allow)
	b.press("Return to Acme EPR without signing")
	b.waitHeading("Back at Acme EPR")
	query, _ := d.site.last()
	if !strings.Contains(query, "error=access_denied") || l.times("negotiate") != 0 {
		t.Errorf("the client was sent %s, and the agent asked to negotiate %d times", query, l.times("negotiate"))
	}
	if got := d.system("main").Response(t, tokenIn(query)); got.Status != http.StatusGone || !strings.Contains(string(got.Body), `"cancelled"`) {
		t.Errorf("the signatures are answered %d %s", got.Status, got.Body)
	}
}
