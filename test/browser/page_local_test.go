package browser_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard/credential"
)

// A bar that cannot say how far it is moves, and its paper is not empty.
func TestTheBarOfThisMachineMoves(t *testing.T) {
	f := newFake(t, 3)
	f.now(func(v *view) { v.State, v.Local = "signing", true })
	b := newBrowser(t)
	b.goTo(f.link(""))
	b.waitHeading("Signing 3 items for Demo EPR")
	if b.shows("of 3 signed") {
		t.Error("the page counts what it cannot know")
	}
	b.waitText("Your smartcard is signing for another tab or window of this browser.")
	place := func() string {
		t.Helper()
		return eval[string](b, `(({backgroundImage, backgroundPosition}) => backgroundImage + " " + backgroundPosition)(getComputedStyle(document.querySelector("progress")))`)
	}
	first := place()
	if !strings.Contains(first, "gradient") {
		t.Errorf("the bar is drawn by %s", first)
	}
	b.waitUntil("the bar to move", func() bool { return place() != first })
	b.shot("signing-elsewhere")
}

// A page that is loaded again while the card signs gives its run up, and says so to the service at once: else the person
// would wait for the lease to run out.
func TestALoadedPageGivesItsRunUp(t *testing.T) {
	f := newFake(t, 3)
	f.now(here)
	l := newLiar(t, f.URL, holdAgentPorts(t))
	l.lies("send", silent)
	b := newBrowser(t)
	b.expectFault("has been blocked by CORS policy")
	b.goTo(f.link(""))
	b.press("Sign 3 items for Demo EPR")
	b.waitUntil("the agent to be asked", func() bool { return l.times("send") > 0 })
	eval[bool](b, "setTimeout(() => location.reload(), 0) > 0")
	b.waitUntil("the run to be given up", func() bool { return len(f.sent("answer")) > 0 })
	if gave := f.sent("answer")[0].Body; gave["failure"] != "page_closed" || gave["job"] != "11111111-1111-4111-8111-111111111111" {
		t.Errorf("the service is told %v", gave)
	}
	b.waitHeading("Not signed: page_closed")
	b.waitText("Try again")
	b.waitText("Reference for support: 0b9d7e609f4e")
}

// A program that holds one of the agent's ports and says nothing does not keep the page from the agent at another, nor,
// once the person has decided, from saying that there is none.
func TestASilentProgramOnAPort(t *testing.T) {
	holdAgentPorts(t)
	f := newFake(t, 3)
	f.now(here)
	mute := newLiar(t, f.URL, credential.Ports[0])
	mute.lies("GetPortNumber", silent)
	b := newBrowser(t)
	b.expectFault("has been blocked by CORS policy")
	b.expectFault("Permission was denied for this request to access")
	b.goTo(f.link(""))
	eval[bool](b, atThePrompt)
	began := time.Now()
	b.press("Sign 3 items for Demo EPR")
	b.waitHeading("Your browser waits for an answer") // for it is said to ask still
	if title := eval[string](b, "document.title"); title != "Not signed: Your browser waits for an answer – Signing Service" {
		t.Errorf("the tab is called %q", title)
	}
	b.shot("local-trouble")
	agent := newLiar(t, f.URL, credential.Ports[1])
	b.press("Try again")
	b.waitUntil("the agent to be asked", func() bool { return agent.times("send") > 0 })
	b.waitHeading("Not signed: no_card")
	if took := time.Since(began); took > 55*time.Second {
		t.Errorf("it took %s: the page waited for the silent program", took.Round(time.Second))
	}
}
