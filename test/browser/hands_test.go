package browser_test

import (
	"fmt"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// What a person does at a tab: look until something shows, press, type.

// waitFor waits until a JavaScript expression is true, also across a navigation.
func (b *tab) waitFor(what, expression string) {
	b.t.Helper()
	var last error
	if gateway.Eventually(patience, func() (ok bool) {
		ok, last = tryEval[bool](b, "Boolean("+expression+")")
		return ok
	}) {
		return
	}
	seen, _ := tryEval[string](b, `location.href + "\n" + document.title + "\n" + document.body.innerText`)
	b.t.Fatalf("%s: not within %s (%v); the page shows:\n%s", what, patience, last, seen)
}

// waitUntil waits for something outside the page.
func (b *tab) waitUntil(what string, ok func() bool) {
	b.t.Helper()
	if !gateway.Eventually(patience, ok) {
		b.t.Fatalf("%s: not within %s", what, patience)
	}
}

// waitHeading waits for the main heading.
func (b *tab) waitHeading(text string) {
	b.t.Helper()
	b.waitFor("heading "+text, fmt.Sprintf("document.querySelector('h1')?.textContent === %q", text))
}

// waitText waits until the page shows a text.
func (b *tab) waitText(text string) {
	b.t.Helper()
	b.waitFor("text "+text, fmt.Sprintf("document.body?.innerText.includes(%q)", text))
}

// shows tells whether a text is visible now.
func (b *tab) shows(text string) bool {
	b.t.Helper()
	return eval[bool](b, fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// press clicks the button or link that is called so.
func (b *tab) press(name string) {
	b.t.Helper()
	find := fmt.Sprintf(`[...document.querySelectorAll("button, a, summary")].find((e) => e.textContent.trim() === %q && e.checkVisibility())`, name)
	// Found and pressed in one step: between two the page may have drawn it anew.
	for pressed := false; !pressed; pressed = eval[bool](b, fmt.Sprintf(`(() => { const e = %s; e?.click(); return Boolean(e); })()`, find)) {
		b.waitFor("button "+name, find)
	}
}

// keys types on the keyboard.
func (b *tab) keys(keys string, options ...chromedp.KeyOption) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys, options...))
}

// tabTo presses Tab until the focus is on the element that is called so, as a person without a mouse does, and
// fails when it is not reachable or not visible while focused.
func (b *tab) tabTo(name string) {
	b.t.Helper()
	const focused = `(() => { const e = document.activeElement; return e.tabIndex < 0 ? "" : (e.getAttribute("aria-label") ?? e.textContent).trim(); })()`
	for range 40 {
		if eval[string](b, focused) == name {
			return
		}
		b.keys(kb.Tab)
	}
	b.t.Fatalf("%q cannot be reached with the Tab key", name)
}
