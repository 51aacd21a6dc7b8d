package browser_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
)

// itemsShown counts the items in the page, shown or not, and what of them a person could read.
const itemsShown = `document.querySelectorAll(".item").length`

// Whoever signed in instead is told who is needed and who came, keeps the page without the token in its address, and may
// sign in as somebody else.
func TestTheWrongPersonIsTold(t *testing.T) {
	f := newFake(t, 3)
	f.turnAway("wrong_user", wanted{Sub: "555086689106", User: "555086689207", Name: "Dr <i>Bob</i> Made-Up", Level: 3, Least: 3})
	b := newBrowser(t)
	b.goTo(f.link("&state=e30="))
	b.waitHeading("This request is for someone else")
	for _, text := range []string{"Demo EPR asks one person to sign", "Asked to sign", "Signed in", "Dr <i>Bob</i> Made-Up"} {
		if !b.shows(text) {
			t.Errorf("the page does not show %q", text)
		}
	}
	rows := eval[string](b, `[...document.querySelectorAll("#summary > div")].map((e) => e.textContent).join("|")`)
	if want := "Asked byDemo EPR|Asked to sign555086689106|Signed inDr <i>Bob</i> Made-Up555086689207"; rows != want {
		t.Errorf("the page says %q, want %q", rows, want)
	}
	if n := eval[int](b, itemsShown); n != 0 {
		t.Errorf("the wrong person is shown %d items", n)
	}
	if got, want := eval[string](b, "location.href"), f.URL+"/base/path/client?session="+f.view.ID; got != want {
		t.Errorf("the address bar shows %s, want %s", got, want)
	}
	if len(f.sent("session"))+len(f.sent("sign")) != 0 {
		t.Error("the page watches or signs what is not open")
	}
	b.do(chromedp.Reload())
	b.waitHeading("This request is for someone else")
	if sent := f.sent("open"); len(sent) != 2 || sent[1].Body["id"] != f.view.ID {
		t.Errorf("the reload opened with %v", sent)
	}
	b.press("Sign in as someone else")
	b.waitUntil("the browser to go to the provider", func() bool {
		_, err := f.Client().Get(f.URL + "/provider/asked")
		return err == nil
	})
	if n := len(f.sent("open")); n != 3 {
		t.Errorf("the page asked %d times where to sign in, want once for each load and once for the press", n)
	}
}

// Whoever came instead can end the request, after a question, and go back to the client.
func TestTheWrongPersonCancels(t *testing.T) {
	f := newFake(t, 3)
	f.turnAway("wrong_user", wanted{Sub: "555086689106", User: "555086689207", Level: 3, Least: 3})
	b := newBrowser(t)
	b.goTo(f.link(""))
	b.press("Cancel")
	b.press("No, go back")
	b.waitFor("focus back on Cancel", `document.activeElement.textContent === "Cancel"`)
	f.now(func(v *view) {
		v.Reason = &reason{Code: "wrong_user", Title: "Another person signed in", Text: "Nothing was signed."}
	})
	b.press("Cancel")
	b.press("Yes, cancel the request")
	b.waitHeading("Another person signed in")
	if sent := f.sent("cancel"); len(sent) != 1 || sent[0].Body["id"] != f.view.ID {
		t.Errorf("cancelled with %v", sent)
	}
	b.press("Return to Demo EPR without signing")
	b.waitHeading("Back at the client")
}

// A cancel of the wrong person whose answer is lost is sent again, as any other.
func TestTheWrongPersonsCancelIsRepeated(t *testing.T) {
	f := newFake(t, 3)
	f.turnAway("access_denied", wanted{})
	b := newBrowser(t)
	b.goTo(f.link(""))
	b.press("Cancel")
	f.goDown(true)
	b.press("Yes, cancel the request")
	b.waitText("Connection lost, trying again…")
	f.goDown(false)
	b.waitHeading("Nothing was signed")
}

// An open page drops what is to be signed when the person logs out, or the request ends in another way than by a press
// here; while it is signed as well.
func TestItemsGoWithThePerson(t *testing.T) {
	ends := map[string]func(*fake){
		"a logout":                 func(f *fake) { f.now(func(v *view) { v.SignedOut = true }) },
		"a logout during a run":    func(f *fake) { f.now(func(v *view) { v.State, v.Tries, v.SignedOut = "signing", 1, true }) },
		"a cancel in another tab":  func(f *fake) { f.now(func(*view) { f.end("cancelled") }) },
		"the end of its time":      func(f *fake) { f.now(func(*view) { f.end("expired") }) },
		"a failure":                func(f *fake) { f.now(func(*view) { f.end("failed") }) },
		"signatures":               func(f *fake) { f.hold(); f.sign(3); f.now(func(*view) { f.end("signed") }) },
		"a request that is gone":   func(f *fake) { f.refuse("session", 404, "not_found", "") },
		"a sign-in of another one": func(f *fake) { f.now(func(v *view) { v.SignedOut = true }) },
	}
	for what, end := range ends {
		t.Run(what, func(t *testing.T) {
			f, b := opened(t, 3)
			b.press("The 3 items and their digests")
			if n := eval[int](b, itemsShown); n != 3 {
				t.Fatalf("%d items are shown before", n)
			}
			end(f)
			b.waitFor("the items to go", itemsShown+" === 0")
			held := eval[bool](b, fmt.Sprintf(`document.documentElement.outerHTML.includes(%q)`, f.view.Items[0].ID))
			if held {
				t.Error("an item's id is still in the page")
			}
		})
	}
}

// Signed out, the page says so and leads to the sign-in; signed in again in another tab, it shows the items again.
func TestSignedOut(t *testing.T) {
	f, b := opened(t, 3)
	f.now(func(v *view) { v.SignedOut = true })
	b.waitHeading("You are signed out")
	if b.shows("Sign 3 items") {
		t.Error("there is still something to sign")
	}
	f.now(func(v *view) { v.SignedOut = false })
	b.waitHeading("Sign 3 items for Demo EPR")
	b.waitFor("the items", itemsShown+" === 3")
	f.now(func(v *view) { v.SignedOut = true })
	b.waitHeading("You are signed out")
	f.refuse("open", 403, "sign_in", "")
	b.press("Sign in again")
	b.waitUntil("the browser to go to the provider", func() bool {
		_, err := f.Client().Get(f.URL + "/provider/asked")
		return err == nil
	})
}

// What one tab learns the others ask for at once, also those that nobody looks at.
func TestOtherTabsDropTheItems(t *testing.T) {
	f, first := opened(t, 3)
	second := first.newTab()
	second.goTo(f.link(""))
	second.waitFor("the items", itemsShown+" === 3")
	hide(second)
	f.now(func(v *view) { v.SignedOut = true })
	first.waitFor("the items to go", itemsShown+" === 0")
	second.waitFor("the items to go from the other tab", itemsShown+" === 0")
}

// Out of sight and without an answer nothing is shown that may not be shown any more.
func TestItemsAreHiddenWhileThePageCannotBeSure(t *testing.T) {
	f, b := opened(t, 3)
	b.press("The 3 items and their digests")
	eval[bool](b, `document.querySelector(".details summary").focus() ?? true`)
	const seen = `document.getElementById("items").checkVisibility()`
	hide(b)
	b.waitFor("the items to be hidden", "!"+seen)
	undo := f.delay("session")
	reveal(b)
	if eval[bool](b, seen) {
		t.Error("back in sight, the items are shown before the service has said that they may be")
	}
	undo()
	b.waitFor("the items", seen)
	b.waitFor("focus where it was", `document.activeElement === document.querySelector(".details summary")`)
	if !b.shows("Digest") {
		t.Error("the list is closed again")
	}
	f.goDown(true)
	b.waitText("Connection lost, trying again…")
	b.waitFor("the items to be hidden", "!"+seen)
	f.goDown(false)
	b.waitFor("the items", seen)
}

// hide and reveal tell the page that its tab is out of sight, and in sight again.
func hide(b *tab)   { visibility(b, "hidden") }
func reveal(b *tab) { visibility(b, "visible") }

func visibility(b *tab, state string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`(() => {
		Object.defineProperty(document, "visibilityState", { configurable: true, get: () => %q });
		Object.defineProperty(document, "hidden", { configurable: true, get: () => %t });
		document.dispatchEvent(new Event("visibilitychange"));
		return true;
	})()`, state, state == "hidden"))
}

// The back button brings no item back: not from the browser's cache of whole pages, and not from any other.
func TestBackShowsNoItems(t *testing.T) {
	f, b := opened(t, 3)
	b.press("The 3 items and their digests")
	eval[bool](b, `(() => { addEventListener("pagehide", () => {
		sessionStorage.setItem("left", document.querySelectorAll(".item").length);
	}); return true; })()`)
	b.goTo(f.URL + "/back")
	b.waitHeading("Back at the client")
	f.now(func(v *view) { v.SignedOut = true })
	eval[bool](b, "history.back() ?? true")
	b.waitHeading("You are signed out")
	if left := eval[string](b, `sessionStorage.getItem("left")`); left != "0" {
		t.Errorf("the page was left with %s items in it, which the browser may keep", left)
	}
	if n := eval[int](b, itemsShown); n != 0 {
		t.Errorf("the back button brought %d items back", n)
	}
}

// Brought back by the browser as it was left, the page is loaded anew.
func TestARestoredPageIsLoadedAnew(t *testing.T) {
	f, b := opened(t, 3)
	before := len(f.sent("open"))
	eval[bool](b, `(() => {
		dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
		setTimeout(() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true })));
		return document.querySelectorAll(".item").length === 0;
	})() || (() => { throw new Error("the items are still there"); })()`)
	b.waitUntil("the page to be loaded anew", func() bool { return len(f.sent("open")) > before })
	b.waitFor("the items", itemsShown+" === 3")
}

// Patients and their prescriptions go as the items do: with the person, with the request, and out of sight.
func TestPrescriptionsGoWithThePerson(t *testing.T) {
	f, b := prescribed(t, 2, "optional", prescriptionsOf(2, 1))
	const seen = `document.body.innerText.includes("ASHDOWN1")`
	const held = `document.documentElement.outerHTML.includes("ASHDOWN")`
	b.waitFor("the prescriptions", seen)
	hide(b)
	b.waitFor("the prescriptions to be hidden", "!"+seen)
	reveal(b)
	b.waitFor("the prescriptions", seen)
	f.now(func(v *view) { v.SignedOut = true })
	b.waitHeading("You are signed out")
	b.waitFor("the prescriptions to go", "!"+held)
	f.now(func(v *view) { v.SignedOut = false })
	b.waitFor("the prescriptions of whoever has signed in again", seen)
	f.now(func(*view) { f.end("expired") })
	b.waitFor("the prescriptions to go", "!"+held)
}
