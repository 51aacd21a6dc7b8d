package browser_test

import (
	"fmt"
	"slices"
	"testing"
)

// check ticks what the person says of a prescription, or takes it back.
func (b *tab) check(prescription int, what string) {
	b.t.Helper()
	b.waitFor(fmt.Sprintf("%s of %d", what, prescription), fmt.Sprintf(`(() => {
		const label = [...document.querySelectorAll(".rx-check")].find((e) => e.textContent === %q);
		label?.scrollIntoView();
		label?.click();
		return Boolean(label);
	})()`, fmt.Sprintf("%s (prescription %d)", what, prescription)))
}

const (
	lookedAt = "Looked at"
	isWrong  = "Something is wrong with this one"
)

// A person marks what is wrong and gives the request back unsigned: while anything is marked nothing can be signed, a
// question comes first, and the service is told which.
func TestPrescriptionsAreGivenBack(t *testing.T) {
	f, b := prescribed(t, 25, "optional", prescriptionsOf(25, 1))
	b.waitText("25 prescriptions, 25 items, 25 patients")
	if b.shows("Give back unsigned") {
		t.Error("before anything is marked, the request can be given back")
	}
	b.check(7, isWrong)
	b.waitText("You marked 1 prescription as wrong. Give the request back, or take the mark off to sign.")
	b.check(3, isWrong)
	b.press("Sign 25 prescriptions for Demo EPR")
	if n := len(f.sent("sign")); n != 0 {
		t.Fatalf("it was signed %d times", n)
	}
	b.check(7, isWrong)
	b.check(3, isWrong)
	b.waitFor("Sign without marks", `document.querySelector("button.sign").getAttribute("aria-disabled") === "false"`)
	b.check(3, isWrong)
	b.check(7, isWrong)
	b.accessible()
	b.shot("prescriptions-marked-1200")
	b.viewport(320, 800)
	b.fits()
	b.shot("prescriptions-marked-320")
	b.press("Give back unsigned")
	b.waitText("Nothing will be signed, and Demo EPR learns which 2 of 25 prescriptions you marked.")
	b.accessible()
	b.press("No, go back")
	if focused := eval[string](b, "document.activeElement.textContent"); focused != "Give back unsigned" {
		t.Errorf("the focus is on %q", focused)
	}
	b.press("Give back unsigned")
	b.press("Yes, give it back unsigned")
	b.waitHeading("You gave this request back")
	b.waitText("You marked 2 of 25 prescriptions.")
	b.waitText("Return to Demo EPR without signing")
	b.shot("prescriptions-given-back")
	sent := f.sent("decline")
	want := []any{"7f1c2d3e-4a5b-4c6d-8e7f-000000000003", "7f1c2d3e-4a5b-4c6d-8e7f-000000000007"}
	if len(sent) != 1 || !slices.Equal(sent[0].Body["declined"].([]any), want) || len(f.sent("cancel")) != 0 {
		t.Errorf("the service is told %v, want %v", sent, want)
	}
}

// What was looked at is kept, is there again, and is a filter.
func TestPrescriptionsAreLookedAt(t *testing.T) {
	shown := prescriptionsOf(25, 1)
	for i, p := range shown["prescriptions"].([]any) {
		if i >= 2 {
			p.(object)["looked"] = true
		}
	}
	f, b := prescribed(t, 25, "optional", shown)
	b.waitText("All 25 are shown. 23 are looked at.")
	choose := func(value string) {
		t.Helper()
		eval[bool](b, fmt.Sprintf(`(() => { const s = document.getElementById("rx-filter"); s.value = %q; s.dispatchEvent(new Event("change", {bubbles: true})); return true; })()`, value))
	}
	choose("unseen")
	b.waitText("2 of 25 are shown. 23 are looked at.")
	undo := f.delay("looked")
	b.check(1, lookedAt)
	b.waitUntil("the first call", func() bool { return len(f.sent("looked")) == 1 })
	b.check(2, lookedAt)
	b.check(1, lookedAt)
	b.waitText("2 of 25 are shown. 24 are looked at.")
	undo()
	b.waitUntil("a second call", func() bool { return len(f.sent("looked")) == 2 })
	first, second := "7f1c2d3e-4a5b-4c6d-8e7f-000000000001", "7f1c2d3e-4a5b-4c6d-8e7f-000000000002"
	looked := f.sent("looked")[1].Body["looked"].(map[string]any)
	if looked[first] != false || looked[second] != true || len(looked) != 2 {
		t.Errorf("the service is told %v", looked)
	}
	b.press("Show all")
	b.press("Sign 25 prescriptions for Demo EPR")
	b.waitHeading("Signing 25 prescriptions for Demo EPR")
}

// The name of whoever has signed in stands beside their user id, and goes with them.
func TestTheNameOfThePersonIsShown(t *testing.T) {
	f := newFake(t, 3)
	f.now(func(v *view) { v.Name = "Dr Tamsin Okonjo" })
	b := newBrowser(t)
	b.goTo(f.link(""))
	b.waitHeading("Sign 3 items for Demo EPR")
	b.waitText("Dr Tamsin Okonjo")
	b.accessible()
	b.shot("signed-in")
	f.now(func(v *view) { v.Name, v.SignedOut = "", true })
	b.waitHeading("You are signed out")
	if b.shows("Okonjo") {
		t.Error("signed out, the page has the name")
	}
}
