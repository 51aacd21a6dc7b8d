package browser_test

import (
	"fmt"
	"os"
	"strings"
)

// axeFile is put there by `npm ci --prefix test/browser`, which `make test` runs.
const axeFile = "node_modules/axe-core/axe.min.js"

// violation is what axe-core found, with the first elements concerned.
type violation struct {
	ID, Impact, Help string
	Nodes            []string
}

// accessible fails for every rule of axe-core that the page breaks as it stands: WCAG 2.2 A and AA, and its
// best practices.
func (b *tab) accessible() {
	b.t.Helper()
	for _, v := range b.violations() {
		b.t.Errorf("axe: %s (%s): %s\n\t%s", v.ID, v.Impact, v.Help, strings.Join(v.Nodes, "\n\t"))
	}
}

func (b *tab) violations() []violation {
	b.t.Helper()
	source, err := os.ReadFile(axeFile)
	if err != nil {
		b.t.Fatalf("axe-core is not here (npm ci --prefix test/browser, or `make test`): %v", err)
	}
	eval[bool](b, fmt.Sprintf("(() => { %s\n; return true; })()", source))
	return eval[[]violation](b, `axe.run(document, {resultTypes: ["violations"]}).then((result) =>
		result.violations.map((v) => ({ID: v.id, Impact: v.impact, Help: v.help,
			Nodes: v.nodes.slice(0, 5).map((n) => n.html + " — " + n.failureSummary)})))`)
}

// fits fails when the page has to be scrolled sideways at the present width (WCAG 1.4.10), or down past its end.
func (b *tab) fits() {
	b.t.Helper()
	if over := eval[int](b, "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
		wide := eval[[]string](b, `[...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 120))`)
		b.t.Errorf("the page is %d pixels too wide:\n\t%s", over, strings.Join(wide, "\n\t"))
	}
	if past := eval[int](b, "document.scrollingElement.scrollHeight - Math.max(innerHeight, Math.ceil(document.body.getBoundingClientRect().bottom + scrollY))"); past > 0 {
		b.t.Errorf("the page can be scrolled %d pixels past its end", past)
	}
}
