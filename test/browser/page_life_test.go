package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// opened is a tab in which a person is asked to sign so many items.
func opened(t *testing.T, total int) (*fake, *tab) {
	t.Helper()
	f := newFake(t, total)
	b := newBrowser(t)
	b.goTo(f.link(""))
	b.waitText("Have your smartcard in the reader.")
	return f, b
}

func TestTheWholeWay(t *testing.T) {
	f, b := opened(t, 25)
	for _, text := range []string{"Demo EPR", "Signing as", "25", "Sign before", "Signature algorithm: RS256"} {
		if !b.shows(text) {
			t.Errorf("the page does not show %q", text)
		}
	}
	if len(f.sent("sign")) != 0 {
		t.Fatal("a real card signs only after a press")
	}
	b.press("The 25 items and their digests")
	b.press("Sign 25 items for Demo EPR")
	b.waitHeading("Signing 25 items for Demo EPR")
	f.sign(3)
	b.waitText("3 of 25 signed")
	b.waitFor("the last three items to be ticked", `[...document.querySelectorAll(".item .status")].map((e) => e.textContent).join(" ") === "Waiting ".repeat(22) + "Signed Signed Signed"`)
	if got := eval[float64](b, "document.querySelector('progress').value"); got != 3 {
		t.Errorf("the progress bar is at %v", got)
	}
	if title := eval[string](b, "document.title"); !strings.HasPrefix(title, "3 of 25 signed") {
		t.Errorf("title %q", title)
	}
	letGo := f.hold() // the page goes on by itself, a second later
	f.sign(25)
	f.now(func(*view) { f.end("signed") })
	b.waitHeading("Signed")
	if href := eval[string](b, `[...document.links].find((a) => a.textContent === "Continue to Demo EPR").href`); href != f.URL+"/back?token=f523a772-24f2-45d6-a8da-59b48de0231a&state=e30=" {
		t.Errorf("the visible way back leads to %s", href)
	}
	letGo()
	b.waitHeading("Back at the client")
	if got := eval[string](b, "location.href"); got != f.URL+"/back?token=f523a772-24f2-45d6-a8da-59b48de0231a&state=e30=" {
		t.Errorf("the client was reached at %s", got)
	}
	if back := eval[int](b, "history.length"); back != 2 {
		t.Errorf("the signing page is left in the history: %d entries", back)
	}
}

// The state is opaque: what a form would turn into a space, and what is no valid escape, goes on as it came.
func TestTheQueryIsCarriedByteForByte(t *testing.T) {
	const more = "&state=a+b%2Bc==%20%zz/~&mock=true"
	f := newFake(t, 1)
	b := newBrowser(t)
	b.goTo(f.link(more))
	b.waitText("Have your smartcard in the reader.")
	sent := f.sent("open")
	if len(sent) != 1 || sent[0].Body["token"] != "f523a772-24f2-45d6-a8da-59b48de0231a" {
		t.Fatalf("open was sent %v", sent)
	}
	if got, want := sent[0].Body["query"], "token=f523a772-24f2-45d6-a8da-59b48de0231a"+more; got != want {
		t.Errorf("query %q, want %q", got, want)
	}
	if got, want := eval[string](b, "location.href"), f.URL+"/base/path/client?session="+f.view.ID; got != want {
		t.Errorf("the address bar shows %s, want %s", got, want)
	}
}

func TestReloadGoesOnWithTheSameSession(t *testing.T) {
	f, b := opened(t, 4)
	b.press("Sign 4 items for Demo EPR")
	f.sign(2)
	b.waitText("2 of 4 signed")
	b.do(chromedp.Reload())
	b.waitText("2 of 4 signed")
	if sent := f.sent("open"); len(sent) != 2 || sent[1].Body["id"] != f.view.ID || sent[1].Body["token"] != nil {
		t.Errorf("the reload opened with %v", sent)
	}
	if n := len(f.sent("sign")); n != 1 {
		t.Errorf("sign was asked for %d times", n)
	}
}

func TestOnlyTheMockStartsByItself(t *testing.T) {
	f := newFake(t, 2)
	f.now(func(v *view) { v.Mock, v.Autostart, v.Environment = true, true, "sandbox" })
	b := newBrowser(t)
	b.goTo(f.link("&mock=true"))
	b.waitHeading("Signing 2 items for Demo EPR")
	if !b.shows("Test environment") || !b.shows("Simulated smartcard") {
		t.Error("a simulation is not called one")
	}
	f.now(func(v *view) {
		v.State, v.Reason = "opened", &reason{Code: "no_card", Title: "No smartcard found", Retry: true}
	})
	b.waitHeading("No smartcard found")
	b.press("Try again")
	b.waitHeading("Signing 2 items for Demo EPR")
	if n := len(f.sent("sign")); n != 2 {
		t.Errorf("sign was asked for %d times, want once by itself and once by the press", n)
	}
}

func TestAPressCountsOnce(t *testing.T) {
	f, b := opened(t, 2)
	eval[bool](b, `(() => { const e = document.querySelector(".button"); e.click(); e.click(); e.click(); return true; })()`)
	b.waitHeading("Signing 2 items for Demo EPR")
	if n := len(f.sent("sign")); n != 1 {
		t.Errorf("three presses asked to sign %d times", n)
	}
}

func TestALostConnectionIsToldAndClears(t *testing.T) {
	f, b := opened(t, 5)
	b.press("Sign 5 items for Demo EPR")
	b.waitHeading("Signing 5 items for Demo EPR")
	f.goDown(true)
	b.waitText("Connection lost, trying again…")
	f.goDown(false)
	f.sign(4)
	b.waitText("4 of 5 signed")
	if b.shows("Connection lost") {
		t.Error("the notice of a lost connection stays")
	}
	f.refuse("session", http.StatusBadGateway, "", "")
	b.waitText("Connection lost, trying again…")
	f.refuse("session", 0, "", "")
	f.now(func(*view) { f.end("signed") })
	b.waitHeading("Back at the client")
}

// A press whose answer is lost is not sent twice: the page looks how things stand.
func TestAPressWithoutAnAnswerIsNotRepeated(t *testing.T) {
	f, b := opened(t, 5)
	f.goDown(true)
	b.press("Sign 5 items for Demo EPR")
	b.waitText("Connection lost, trying again…")
	f.now(func(v *view) { v.State, v.Tries = "signing", 1 })
	f.goDown(false)
	b.waitHeading("Signing 5 items for Demo EPR")
	if n := len(f.sent("sign")); n != 0 {
		t.Errorf("the press was repeated %d times", n)
	}
}

func TestAnOpeningWithoutAnAnswerIsRepeated(t *testing.T) {
	f := newFake(t, 5)
	f.goDown(true)
	b := newBrowser(t)
	b.goTo(f.link(""))
	b.waitText("Connection lost, trying again…")
	f.goDown(false)
	b.waitHeading("Sign 5 items for Demo EPR")
}

func TestARefusedPressIsExplainedAndTheRequestStays(t *testing.T) {
	f, b := opened(t, 5)
	f.refuse("sign", http.StatusConflict, "busy", "The agent is busy with another request.")
	b.press("Sign 5 items for Demo EPR")
	b.waitText("The agent is busy with another request.")
	b.waitText("5c1f0a52-req")
	b.accessible()
	f.refuse("sign", 0, "", "")
	b.press("Sign 5 items for Demo EPR")
	b.waitHeading("Signing 5 items for Demo EPR")
	if b.shows("The agent is busy") {
		t.Error("the old problem is still told")
	}
}

func TestASessionThatIsGoneIsTold(t *testing.T) {
	f, b := opened(t, 5)
	f.refuse("session", http.StatusNotFound, "not_found", "No signature request for specified token")
	b.waitHeading("This signing request cannot be found")
	if left := eval[string](b, "[...document.querySelectorAll('main button')].map((e) => e.textContent).join()"); left != "Go back" {
		t.Errorf("what can be pressed is %q, want the way back alone", left)
	}
}

func TestCancelAsksOnce(t *testing.T) {
	f, b := opened(t, 5)
	b.press("Cancel")
	b.waitText("Cancel this request?")
	b.press("No, go back")
	b.waitFor("focus back on Cancel", `document.activeElement.textContent === "Cancel"`)
	b.press("Cancel")
	b.keys(kb.Escape)
	b.waitFor("focus back on Cancel", `document.activeElement.textContent === "Cancel"`)
	if n := len(f.sent("cancel")); n != 0 {
		t.Fatalf("cancelled %d times before it was confirmed", n)
	}
	b.press("Cancel")
	b.press("Yes, cancel the request")
	b.waitHeading("Nothing was signed")
	b.press("Return to Demo EPR without signing")
	b.waitHeading("Back at the client")
}

func TestCancelWhileSigning(t *testing.T) {
	f, b := opened(t, 5)
	b.press("Sign 5 items for Demo EPR")
	b.waitHeading("Signing 5 items for Demo EPR")
	b.press("Cancel")
	f.sign(3)
	b.waitText("3 of 5 signed")
	if !b.shows("Cancel this request?") {
		t.Error("the progress has taken the question away")
	}
	b.press("Yes, cancel the request")
	b.waitHeading("Nothing was signed")
}

func TestTheWayBackIsAWebAddress(t *testing.T) {
	f := newFake(t, 5)
	f.now(func(v *view) { v.State, v.RedirectURI = "failed", "javascript:alert(1)" })
	b := newBrowser(t)
	b.goTo(f.link(""))
	b.waitHeading("Nothing was signed")
	if n := eval[int](b, "document.querySelectorAll('main a').length"); n != 0 {
		t.Error("the page links to what is no web address")
	}
}

// What a client or a request says is text, whatever it looks like.
func TestNamesAreText(t *testing.T) {
	f := newFake(t, 1)
	f.now(func(v *view) {
		v.Client = `<img src=x onerror="document.title='broken'">`
		v.Items[0] = item{ID: `<b>id</b>`, Digest: `<script>document.title='broken'</script>`}
	})
	b := newBrowser(t)
	b.goTo(f.link(""))
	b.waitText(`item for <img src=x onerror="document.title='broken'">`)
	if eval[int](b, "document.querySelectorAll('main img, main b, main script').length") != 0 {
		t.Error("a name became markup")
	}
}

// The tests' own judges can fail: axe-core, the width, and the watch over the console.
func TestTheJudgesCanFail(t *testing.T) {
	_, b := opened(t, 1)
	eval[bool](b, `(() => { const e = document.createElement("input"); document.querySelector("main").append(e); return true; })()`)
	found := b.violations()
	if len(found) != 1 || found[0].ID != "label" {
		t.Errorf("axe-core found %v in an input without a label", found)
	}
	b.expectFault("Trusted")
	b.expectFault("Content Security Policy")
	b.expectFault("TypeError")
	if blocked := eval[bool](b, `(() => { try { document.body.innerHTML = "x"; return false; } catch { return true; } })()`); !blocked {
		t.Error("the policy lets text become markup")
	}
	before := len(b.excused())
	eval[bool](b, `(() => { const s = document.createElement("style"); s.textContent = "body{}"; document.head.append(s); return true; })()`)
	b.waitUntil("the violation to be noticed", func() bool { return len(b.excused()) > before })
}
