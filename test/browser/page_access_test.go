package browser_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// A screen reader hears the beginning, some steps, and the end: a short word, not each item.
func TestProgressIsAnnouncedSparingly(t *testing.T) {
	f, b := opened(t, 100)
	eval[bool](b, `(() => { window.said = []; const box = document.getElementById("announcer");
		new MutationObserver(() => said.push(box.textContent)).observe(box, {childList: true, characterData: true, subtree: true}); return true; })()`)
	b.press("Sign 100 items for Demo EPR")
	b.waitHeading("Signing 100 items for Demo EPR")
	for n := 4; n <= 40; n += 4 {
		f.sign(n)
		b.waitFor("progress", "document.querySelector('progress').value === "+strconv.Itoa(n))
	}
	f.sign(100)
	f.now(func(v *view) { v.State, v.RedirectURI = "signed", "" })
	b.waitHeading("Signed")
	said := eval[string](b, `said.join("|")`)
	if want := "Signing has started.|12 of 100 signed|24 of 100 signed|36 of 100 signed|All done. 100 of 100 signed."; said != want {
		t.Errorf("announced %q, want %q", said, want)
	}
}

func TestKeyboardOnly(t *testing.T) {
	f, b := opened(t, 5)
	b.tabTo("The 5 items and their digests")
	b.keys(kb.Enter)
	b.waitText("Waiting")
	b.tabTo("Items") // the list scrolls by itself, so it can be focused
	b.tabTo("Cancel")
	b.keys(kb.Enter)
	b.tabTo("No, go back")
	b.keys(" ")
	b.waitFor("focus back on Cancel", `document.activeElement.textContent === "Cancel"`)
	b.keys(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift))
	b.waitFor("focus on the button before", `document.activeElement.textContent === "Sign 5 items for Demo EPR"`)
	if outline := eval[string](b, `getComputedStyle(document.activeElement).backgroundColor`); outline != "rgb(255, 235, 59)" {
		t.Errorf("the focused button is not yellow but %s", outline)
	}
	b.keys(kb.Enter)
	b.waitHeading("Signing 5 items for Demo EPR")
	if id := eval[string](b, "document.activeElement.id"); id != "heading" {
		t.Errorf("after the press the focus is on %q", id)
	}
	f.now(func(*view) { f.end("failed") })
	b.waitHeading("Nothing was signed")
	b.tabTo("Return to Demo EPR without signing")
	b.keys(kb.Enter)
	b.waitHeading("Back at the client")
}

func TestSkipLink(t *testing.T) {
	_, b := opened(t, 5)
	eval[bool](b, "document.activeElement.blur() ?? true")
	b.do(chromedp.Reload())
	b.waitText("Have your smartcard in the reader.")
	b.keys(kb.Tab, chromedp.KeyModifiers(chromedp.ModifierShift))
	b.waitFor("focus on the skip link", `document.activeElement.className === "skip"`)
	b.accessible()
	b.keys(kb.Enter)
	b.waitFor("focus in the main part", `document.activeElement.id === "main"`)
}

// The number is drawn in groups but is one number to whoever copies or hears it.
func TestTheUserIDIsExact(t *testing.T) {
	_, b := opened(t, 1)
	if got := eval[string](b, "document.querySelector('.digits').textContent"); got != "555086689106" {
		t.Errorf("the user id is %q", got)
	}
}

// Without JavaScript the page says so.
func TestWithoutJavaScript(t *testing.T) {
	f := newFake(t, 1)
	b := newBrowser(t)
	b.withoutJavaScript()
	b.goTo(f.link(""))
	text, err := chromedp.Run(b.ctx, chromedp.Text(chromedp.CSS("main")))
	if err != nil || !strings.Contains(text, "Signing needs JavaScript") {
		t.Errorf("the page says %q (%v)", text, err)
	}
}
