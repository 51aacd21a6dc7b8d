package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// The sandbox keeps nothing, yet a person meets the same page: it waits, it is signed, it is left.
func TestSandbox(t *testing.T) {
	site := newClientSite(t)
	g := gateway.Start(t, fmt.Sprintf(`{
	auto_https disable_redirects
	default_bind 127.0.0.1
	countersign {
		environment sandbox
		client acme {
			name "Acme EPR"
			callback %s/signed
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /signing-service/* {
		signing_service {
			access open
		}
	}
}
`, site.URL))
	const token = "f523a772-24f2-45d6-a8da-59b48de0231a"
	link := g.URL("GATEWAY", "/signing-service/client?token="+token+"&state=a+b==")

	t.Run("with a press", func(t *testing.T) {
		b := newBrowser(t)
		b.goTo(link)
		b.waitText("Sign 1 item for")
		if !b.shows("This is the sandbox environment.") {
			t.Error("the sandbox is not called one")
		}
		b.accessible()
		polls := eval[int](b, "performance.getEntriesByType('resource').length")
		b.waitFor("the page to ask how things stand", fmt.Sprintf("performance.getEntriesByType('resource').length > %d", polls))
		eval[bool](b, "document.querySelector('.buttons .button').click() || true")
		b.waitHeading("Back at Acme EPR")
		if query, _ := site.last(); query != "token="+token+"&state=a+b==" {
			t.Errorf("the client was called back with %s", query)
		}
	})

	t.Run("without a click", func(t *testing.T) {
		b := newBrowser(t)
		b.goTo(link + "&mock=true")
		b.waitHeading("Back at Acme EPR")
	})

	t.Run("cancelled", func(t *testing.T) {
		b := newBrowser(t)
		b.goTo(link)
		b.press("Cancel")
		b.press("Yes, cancel the request")
		b.waitHeading("You cancelled this request")
		b.accessible()
		eval[bool](b, "[...document.links].at(-1).click() || true")
		b.waitHeading("Back at Acme EPR")
		if query, _ := site.last(); !strings.Contains(query, "error=access_denied") {
			t.Errorf("the client was called back with %s", query)
		}
	})
}
