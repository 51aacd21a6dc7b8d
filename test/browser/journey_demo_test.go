package browser_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// atDemo is a browser at the demo's first page, once the demo has made its key.
func (w *world) atDemo(t *testing.T) *tab {
	t.Helper()
	b := newBrowser(t)
	b.goTo(w.URL("GATEWAY", "/demo"))
	b.waitHeading("Sign example prescriptions")
	return b
}

func (b *tab) verified(n string) {
	b.t.Helper()
	b.waitHeading("Your prescriptions are signed")
	if !b.shows(n + " of " + n + " signatures verified") {
		b.t.Errorf("not every signature is verified: %s", eval[string](b, "document.querySelector('main').innerText"))
	}
}

// The demo's first start makes its key, which takes seconds; from the moment that it shows its button, the
// button works.
func TestDemoIsReadyWhenItSaysSo(t *testing.T) {
	w := newWorld(t, service{name: "signing-service"})
	b := w.atDemo(t)
	b.press("Sign 1 prescription")
	b.waitHeading("Sign 1 item for Demo EPR")
}

// newDemo is a world whose gateway has the demo's key.
func newDemo(t *testing.T, agent string) *world {
	t.Helper()
	w := newWorld(t, service{name: "signing-service", agent: agent})
	w.atDemo(t).waitUntil("the gateway to have the demo's key", func() bool {
		return strings.Contains(w.Output(), "key set fetched")
	})
	return w
}

func TestDemo(t *testing.T) {
	w := newDemo(t, "delay 100ms") // 250 of them take long enough to be looked at meanwhile

	t.Run("25 prescriptions end to end", func(t *testing.T) {
		b := newDemo(t, "delay 500ms").atDemo(t)
		b.accessible()
		b.fits()
		b.shot("demo-start-1200")
		b.press("Sign 25 prescriptions")
		b.waitHeading("Sign 25 items for Demo EPR")
		if !b.shows("Test environment") || !b.shows("Simulated smartcard") {
			t.Error("a simulated smartcard is not called one")
		}
		b.accessible()
		b.shot("demo-opened-1200")
		b.press("The 25 items and their digests")
		b.press("Sign 25 items for Demo EPR")
		b.waitHeading("Signing 25 items for Demo EPR")
		b.waitFor("items to be ticked one by one", `(() => {
			const n = document.querySelectorAll(".status-signed").length;
			return n > 0 && n < 25 && document.querySelector(".counted").textContent === n + " of 25 signed";
		})()`)
		b.shot("demo-signing-1200")
		b.verified("25")
		b.accessible()
		b.fits()
		b.shot("demo-result-1200")
	})

	t.Run("at 320 pixels", func(t *testing.T) {
		b := newBrowser(t)
		b.viewport(320, 800)
		b.goTo(w.URL("GATEWAY", "/demo/"))
		b.waitHeading("Sign example prescriptions")
		b.accessible()
		b.fits()
		b.shot("demo-start-320")
		b.press("Sign 3 prescriptions")
		b.waitHeading("Sign 3 items for Demo EPR")
		b.accessible()
		b.fits()
		b.press("Sign 3 items for Demo EPR")
		b.verified("3")
		b.accessible()
		b.fits()
		b.shot("demo-result-320")
	})

	t.Run("with the keyboard only", func(t *testing.T) {
		b := w.atDemo(t)
		b.tabTo("Sign 3 prescriptions")
		b.keys(kb.Enter)
		b.waitHeading("Sign 3 items for Demo EPR")
		b.tabTo("Sign 3 items for Demo EPR")
		b.keys(kb.Enter)
		b.verified("3")
		b.tabTo("Sign more")
		b.keys(kb.Enter)
		b.waitHeading("Sign example prescriptions")
	})

	t.Run("without a click", func(t *testing.T) {
		b := w.atDemo(t)
		eval[bool](b, `(() => { document.getElementById("rs1").click(); document.getElementById("mock").click(); return true; })()`)
		b.press("Sign 250 prescriptions")
		b.waitText("250 signed")
		b.accessible()
		b.verified("250")
	})

	t.Run("cancelled", func(t *testing.T) {
		b := w.atDemo(t)
		b.press("Sign 1 prescription")
		b.waitHeading("Sign 1 item for Demo EPR")
		b.press("Cancel")
		b.press("Yes, cancel the request")
		b.waitHeading("You cancelled this request")
		b.accessible()
		b.press("Return to Demo EPR without signing")
		b.waitHeading("The prescriptions are not signed")
		b.accessible()
	})

	t.Run("a wrong user id", func(t *testing.T) {
		b := w.atDemo(t)
		b.do(chromedp.SetValue(chromedp.CSS("#sub"), "12345"))
		b.press("Sign 1 prescription")
		b.waitText("There is a problem")
		b.accessible()
		if title := eval[string](b, "document.title"); !strings.HasPrefix(title, "Error: ") {
			t.Errorf("title %q", title)
		}
	})
}
