package browser_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

type object = map[string]any

// prescriptionsOf is what the service shows of n prescriptions with so many items each.
func prescriptionsOf(n, items int) object {
	var all []any
	for i := range n {
		var lines []any
		for k := range items {
			line := object{
				"number": fmt.Sprintf("ITEM-%d-%d", i, k), "drug": fmt.Sprintf("Amoxicillin %dmg capsules", 250*(k+1)), "code": fmt.Sprintf("32350%04d", i),
				"dose": "1 capsule three times a day for 7 days", "quantity": "21", "unit": "capsule", "unitCode": "428641000",
			}
			if k == 1 {
				line["drug"], line["inWords"], line["endorsements"] = "Morphine sulfate 10mg tablets", "fifty six", []any{"SLS"}
				line["instructions"], line["repeats"] = "CD: fifty six\nKeep away from children", "6"
			}
			lines = append(lines, line)
		}
		marks := []any{}
		if items > 1 {
			marks = append(marks, "in_words")
		}
		all = append(all, object{
			"id": fmt.Sprintf("7f1c2d3e-4a5b-4c6d-8e7f-%012d", i+1), "digest": fmt.Sprintf("ZGlnZXN0%04d", i), "number": fmt.Sprintf("10C7F488-B98D-49E2-86FB-%012d", i), "signed": "2026-11-30T12:00:00Z",
			"patient": object{
				"heading": fmt.Sprintf("ASHDOWN%d, Marged (Mrs)", i), "born": "09-Mar-1957", "gender": "Female", "nhsNumber": fmt.Sprintf("999 000 %04d", i),
				"names": []any{"Mrs Marged Ashdown (L)"}, "addresses": []any{"1 WEAVERS GREEN\nHEBDEN\nHX7 1AA (H)"}, "telecoms": []any{"tel:01614960000 (HP)"}, "practice": "A83008",
			},
			"prescriber": object{
				"name": "Dr Tamsin Okonjo", "code": "7654321", "roleProfile": "555000111222", "jobRole": "S0030:G0100:R0570", "telecoms": []any{"tel:01614960000 (WP)"},
				"organisation": "WEAVERS GREEN SURGERY", "ods": "X26000", "telecom": "tel:01422496000 (WP)", "address": "MILL LANE\nHEBDEN\nHX7 1AA (WP)", "parent": "NORTH PENNINE ICB", "parentOds": "84H",
			},
			"items": lines, "marks": marks,
		})
	}
	return object{"display": "shown", "code": "WPG1 ZVGM W3PN", "print": false, "items": n * items, "patients": n, "prescriptions": all}
}

// prescribed is a page whose service shows something.
func prescribed(t *testing.T, total int, mode string, shown object) (*fake, *tab) {
	t.Helper()
	f := newFake(t, total)
	f.now(func(v *view) { v.Display = mode })
	f.shown = shown
	b := newBrowser(t)
	b.goTo(f.link(""))
	return f, b
}

func (b *tab) signButton(attribute string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf("String(document.querySelector('button.sign')?.getAttribute(%q))", attribute))
}

// One, 25 and 250 prescriptions are shown with their counts, hold on each screen, and axe-core finds nothing.
func TestPrescriptionsAreShown(t *testing.T) {
	for _, c := range []struct {
		n, items int
		counts   string
		heading  string
	}{
		{1, 1, "1 prescription, 1 item, 1 patient", "Sign 1 prescription for Demo EPR"},
		{25, 2, "25 prescriptions, 50 items, 25 patients", "Sign 25 prescriptions for Demo EPR"},
	} {
		t.Run(fmt.Sprint(c.n), func(t *testing.T) {
			_, b := prescribed(t, c.n, "optional", prescriptionsOf(c.n, c.items))
			b.waitHeading(c.heading)
			b.waitText(c.counts)
			for _, text := range []string{"ASHDOWN0, Marged (Mrs)", "09-Mar-1957", "999 000 0000", "Amoxicillin 250mg capsules", "1 capsule three times a day for 7 days", "21 capsule", "WPG1 ZVGM W3PN", "Dr Tamsin Okonjo", "WEAVERS GREEN SURGERY"} {
				b.waitText(text)
			}
			if c.items > 1 {
				b.waitText("fifty six")
				b.waitText("A quantity is given in words")
			}
			b.accessible()
			b.fits()
			b.shot(fmt.Sprintf("prescriptions-%d-1200", c.n))
			eval[bool](b, `[...document.querySelectorAll("details")].slice(0, 4).every((d) => d.open = true)`)
			b.accessible()
			b.viewport(320, 800)
			b.fits()
			b.accessible()
			b.shot(fmt.Sprintf("prescriptions-%d-320", c.n))
			b.forcedColours()
			b.shot(fmt.Sprintf("prescriptions-%d-forced", c.n))
		})
	}
}

// 250 prescriptions of four items each are there in a moment, can be searched, and while a filter hides any of them
// nothing can be signed.
func TestManyPrescriptions(t *testing.T) {
	f, b := prescribed(t, 250, "optional", prescriptionsOf(250, 4))
	b.waitText("250 prescriptions, 1000 items, 250 patients")
	search := func(text string) {
		t.Helper()
		eval[bool](b, fmt.Sprintf(`(() => { const s = document.getElementById("rx-search"); s.value = %q; s.dispatchEvent(new Event("input", {bubbles: true})); return true; })()`, text))
	}
	search("ashdown17, 9990000017")
	b.waitText("1 of 250 are shown. None is looked at yet.")
	if names := eval[[]string](b, `[...document.querySelectorAll(".rx-list > li:not([hidden]) .rx-name")].map((e) => e.textContent)`); !slices.Equal(names, []string{"ASHDOWN17, Marged (Mrs)"}) {
		t.Errorf("the search shows %q", names)
	}
	b.waitText("The filter hides 249 prescriptions. Show all of them to sign.")
	if off := b.signButton("aria-disabled"); off != "true" {
		t.Errorf("while a filter hides some, Sign is aria-disabled=%s", off)
	}
	b.press("Sign 250 prescriptions for Demo EPR")
	if n := len(f.sent("sign")); n != 0 {
		t.Fatalf("it was signed %d times", n)
	}
	b.accessible()
	b.shot("prescriptions-filtered")
	search("no such patient")
	b.waitText("0 of 250 are shown.")
	b.press("Show all")
	b.waitText("All 250 are shown.")
	if off := b.signButton("aria-disabled"); off != "false" {
		t.Errorf("with all shown, Sign is aria-disabled=%s", off)
	}
	b.press("Sign 250 prescriptions for Demo EPR")
	b.waitHeading("Signing 250 prescriptions for Demo EPR")
	f.now(func(*view) { f.end("cancelled") })
	b.waitFor("the prescriptions gone", `!document.body.textContent.includes("ASHDOWN")`)
}

// Hostile texts stay what they are: no markup, nothing invisible, no letter out of its order, nothing over its neighbours.
func TestHostilePrescriptions(t *testing.T) {
	shown := prescriptionsOf(2, 1)
	first := shown["prescriptions"].([]any)[0].(object)
	item := first["items"].([]any)[0].(object)
	item["drug"] = `<img src=x onerror="document.title='owned'"><script>alert(1)</script>`
	item["dose"] = []any{"take ", object{"hidden": "U+202E"}, "10 \u05d0\u05d1 2", object{"hidden": "U+200B"}, "  tablets\nthen stop"}
	item["instructions"] = strings.Repeat("W", 5000)
	item["unit"] = "a" + strings.Repeat("\u0301", 300)
	first["patient"].(object)["heading"] = "\u0645\u062d\u0645\u062f, Marged"
	first["marks"] = []any{"hidden", "same_name", "same_number"}
	_, b := prescribed(t, 2, "optional", shown)
	b.waitText("2 prescriptions, 2 items, 2 patients")
	b.waitText("[U+202E]")
	b.waitText("<script>alert(1)</script>")
	if n := eval[int](b, `document.querySelectorAll(".rx img, .rx script").length`); n != 0 {
		t.Errorf("the texts made %d elements", n)
	}
	dose := eval[string](b, `document.querySelector(".rx-dose").textContent`)
	if want := "take [U+202E]10 \u05d0\u05d1 2[U+200B]  tablets\nthen stop"; dose != want {
		t.Errorf("the dose is %q, want %q", dose, want)
	}
	// Where each letter is drawn, from left to right and line by line.
	drawn := eval[string](b, `(() => {
		const node = [...document.querySelector(".rx-dose").childNodes].find((n) => n.data?.includes("10"));
		const places = [...node.data].map((letter, i) => {
			const range = document.createRange();
			range.setStart(node, i);
			range.setEnd(node, i + 1);
			const at = range.getBoundingClientRect();
			return {letter, x: at.left, y: at.top};
		});
		return places.sort((a, b) => a.y - b.y || a.x - b.x).map((p) => p.letter).join("");
	})()`)
	if drawn != "10 \u05d0\u05d1 2" {
		t.Errorf("the dose is drawn as %q", drawn)
	}
	b.fits()
	b.accessible()
	b.shot("prescriptions-hostile-1200")
	b.viewport(320, 800)
	b.fits()
	b.shot("prescriptions-hostile-320")
}

// Without a display the page says so, shows ids and digests as ever, and signs, unless it must not.
func TestPrescriptionsThatCannotBeShown(t *testing.T) {
	for mode, signs := range map[string]bool{"optional": true, "required": false} {
		t.Run(mode, func(t *testing.T) {
			f, b := prescribed(t, 3, mode, object{"display": "fallback", "missing": 1, "code": "WPG1 ZVGM W3PN", "print": false})
			b.waitText("1 of the 3 prescriptions cannot be shown")
			b.waitText("The 3 items and their digests")
			b.accessible()
			b.shot("prescriptions-fallback-" + mode)
			if off := b.signButton("aria-disabled"); (off != "true") != signs {
				t.Errorf("Sign is aria-disabled=%s", off)
			}
			b.press("Sign 3 items for Demo EPR")
			if signs {
				b.waitHeading("Signing 3 items for Demo EPR")
				return
			}
			if n := len(f.sent("sign")); n != 0 {
				t.Errorf("it was signed %d times", n)
			}
			f.mu.Lock()
			f.shown = prescriptionsOf(3, 1)
			f.mu.Unlock()
			b.press("Look again")
			b.press("Sign 3 prescriptions for Demo EPR")
			b.waitHeading("Signing 3 prescriptions for Demo EPR")
		})
	}
}

// Nothing is signed before the prescriptions are there. If they cannot be fetched, the page says so.
func TestPrescriptionsAreFetched(t *testing.T) {
	f := newFake(t, 2)
	f.now(func(v *view) { v.Display = "optional" })
	f.shown = prescriptionsOf(2, 1)
	undo := f.delay("display")
	b := newBrowser(t)
	b.goTo(f.link(""))
	b.waitText("The prescriptions are being fetched.")
	b.press("Sign 2 items for Demo EPR")
	if n := len(f.sent("sign")); n != 0 {
		t.Errorf("before they are there it was signed %d times", n)
	}
	undo()
	b.waitText("2 prescriptions, 2 items, 2 patients")

	f, b = prescribed(t, 2, "optional", nil)
	f.refuse("display", 503, "unavailable", "away")
	b.goTo(f.link(""))
	b.waitText("The prescriptions could not be fetched just now.")
	f.refuse("display", 0, "", "")
	f.mu.Lock()
	f.shown = prescriptionsOf(2, 1)
	f.mu.Unlock()
	b.press("Look again")
	b.waitText("2 prescriptions, 2 items, 2 patients")
}

// A print has the numbers and the batch code, and patients only where the operator allows it; each sheet says that it is
// no prescription.
func TestPrescriptionsOnPaper(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		shown := prescriptionsOf(3, 2)
		shown["print"] = allowed
		_, b := prescribed(t, 3, "optional", shown)
		b.waitText("3 prescriptions, 6 items, 3 patients")
		b.print()
		if paper := b.shows("ASHDOWN0"); paper != allowed {
			t.Errorf("print %v: patients are on paper: %v", allowed, paper)
		}
		for _, text := range []string{"3 prescriptions, 6 items, 3 patients", "WPG1 ZVGM W3PN", "Not a prescription"} {
			if !b.shows(text) {
				t.Errorf("print %v: the paper has no %q", allowed, text)
			}
		}
		b.shot(fmt.Sprintf("prescriptions-paper-%v", allowed))
		b.paper(fmt.Sprintf("prescriptions-paper-%v", allowed))
		// What stands on each sheet has a place of its own there, or it would lie over the text.
		if place := eval[string](b, `(({display, position}) => display + " " + position)(getComputedStyle(document.querySelector(".rx-paper")))`); place != "table-footer-group static" {
			t.Errorf("print %v: the foot of the sheets is %q", allowed, place)
		}
	}
}
