package browser_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

// Each fault of the mock agent ends in a page that says what happened, with a retry where that makes sense and
// a way back where it does not, and axe-core finds nothing in it.
func TestFailurePages(t *testing.T) {
	faults := []struct {
		fault, heading string
		retry          bool
	}{
		{"no_card", "No smartcard found", true},
		{"wrong_pin", "The PIN was not right", true},
		{"cancelled", "Signing was cancelled at the card", true},
		{"reset", "The smartcard service does not answer", true},
		{"garbage", "The smartcard service broke off", true},
		{"truncated", "The smartcard service broke off", true},
		{"wrong_signature", "A signature was not right", false},
		{"swapped", "A signature was not right", false},
		{"missing_item", "The smartcard service signed something else", false},
		{"extra_item", "The smartcard service signed something else", false},
		{"duplicate_item", "The smartcard service signed something else", false},
		{"other_user", "This is someone else's card", false},
		{"expired_certificate", "The card's certificate has expired", false},
		{"untrusted_chain", "The card is not from an accepted issuer", false},
	}
	services := []service{
		{name: "main"},
		{name: "brief", lines: "sign_within 12s"}, // long enough to open the page in
		{name: "cards", real: true},
	}
	for _, f := range faults {
		services = append(services, service{name: f.fault, agent: "fault " + f.fault})
	}
	w := newWorld(t, services...)

	for _, f := range faults {
		t.Run(f.fault, func(t *testing.T) {
			b := newBrowser(t)
			b.goTo(w.link(t, f.fault, 3, "e30="))
			b.press("Sign 3 items for Acme EPR")
			b.waitHeading(f.heading)
			b.accessible()
			b.fits()
			b.shot("fault-" + f.fault)
			if f.retry {
				counts := f.fault == "wrong_pin" || f.fault == "cancelled" // what nobody got wrong is no try
				if counts != b.shows("You can try again 4 times more.") {
					t.Errorf("that it can be tried 4 times more is said: %v, want %v", !counts, counts)
				}
				if !b.shows("Reference for support: ") {
					t.Error("there is no reference")
				}
				b.press("Try again")
				if counts {
					b.waitText("You can try again 3 times more.")
				}
				b.waitHeading(f.heading)
				return
			}
			b.press("Return to Acme EPR without signing")
			b.waitHeading("Back at Acme EPR")
			if query, _ := w.site.last(); !strings.Contains(query, "&state=e30=&error=server_error") {
				t.Errorf("the client was called back with %s", query)
			}
		})
	}

	t.Run("five tries are the end", func(t *testing.T) {
		b := newBrowser(t)
		b.goTo(w.link(t, "wrong_pin", 1, ""))
		b.press("Sign 1 item for Acme EPR")
		for _, left := range []string{"4 times", "3 times", "2 times", "once"} {
			b.waitText("You can try again " + left + " more.")
			b.press("Try again")
		}
		b.waitHeading("Signing did not work")
		b.waitText("The last time: The PIN was not right.")
		b.accessible()
		b.press("Return to Acme EPR without signing")
		b.waitHeading("Back at Acme EPR")
	})

	t.Run("too late", func(t *testing.T) {
		b := newBrowser(t)
		b.goTo(w.link(t, "brief", 1, ""))
		b.waitHeading("This request is too old")
		b.accessible()
		b.press("Return to Acme EPR without signing")
		b.waitHeading("Back at Acme EPR")
		if query, _ := w.site.last(); !strings.Contains(query, "error=request_expired") {
			t.Errorf("the client was called back with %s", query)
		}
	})

	t.Run("an address that has nothing for people", func(t *testing.T) {
		b := newBrowser(t)
		b.expectFault("the server responded with a status of 400")
		b.goTo(w.URL("GATEWAY", "/main/client/signed-in?state=used&code=used"))
		b.waitHeading("This sign-in is over")
		b.accessible()
		b.fits()
		b.shot("problem")
		b.dark(true)
		b.accessible()
	})

	t.Run("no mock here", func(t *testing.T) {
		b := newBrowser(t)
		b.goTo(w.link(t, "cards", 1, "") + "&mock=true")
		b.waitHeading("Signing with a simulated smartcard is not offered here")
		b.accessible()
	})

	t.Run("unknown", func(t *testing.T) {
		for _, query := range []string{"?token=" + uuid.NewString(), "?token=x", "", "?session=abc"} {
			b := newBrowser(t)
			b.goTo(w.URL("GATEWAY", "/main/client"+query))
			b.waitHeading("This signing request cannot be found")
			b.accessible()
		}
	})
}

// A gateway that goes away in the middle is told as a lost connection, and the page goes on by itself when
// the gateway is back.
func TestTheGatewayGoesAwayAndComesBack(t *testing.T) {
	w := newWorld(t, service{name: "main", agent: "fault hang", lines: "lease 12s"})
	b := newBrowser(t)
	b.goTo(w.link(t, "main", 4, ""))
	b.press("Sign 4 items for Acme EPR")
	b.waitText("2 of 4 signed")
	w.Kill()
	b.waitText("Connection lost, trying again…")
	w.Restart()
	b.waitHeading("Signing was interrupted")
	if b.shows("Connection lost") {
		t.Error("the notice of a lost connection stays")
	}
	b.accessible()
	b.press("Try again")
	b.waitHeading("Signing 4 items for Acme EPR")
	b.press("Cancel")
	b.press("Yes, cancel the request")
	b.waitHeading("You cancelled this request")
}
