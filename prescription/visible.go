package prescription

import (
	"fmt"
	"strings"
	"unicode"
)

// Run is a part of a text: either characters that can be seen, or the names of some that cannot.
type Run struct {
	Text   string
	Hidden bool // Text is the name of one character, such as U+202E
}

// Runs splits a text so that nothing in it stays unseen: control characters, white space other than a space or a line
// feed, characters without a glyph, and those that change the direction of others become runs of their own.
func Runs(text string) []Run {
	var runs []Run
	start := 0
	for i, r := range text {
		if seen(r) {
			continue
		}
		if start < i {
			runs = append(runs, Run{Text: text[start:i]})
		}
		runs = append(runs, Run{Text: fmt.Sprintf("U+%04X", r), Hidden: true})
		start = i + len(string(r))
	}
	if start < len(text) {
		runs = append(runs, Run{Text: text[start:]})
	}
	return runs
}

// Visible is a text with hidden characters by name in brackets: a[U+202E]b.
func Visible(text string) string {
	var out strings.Builder
	for _, run := range Runs(text) {
		if run.Hidden {
			out.WriteString("[" + run.Text + "]")
		} else {
			out.WriteString(run.Text)
		}
	}
	return out.String()
}

// seen tells whether a person can see a character for what it is.
func seen(r rune) bool {
	switch {
	case r == '\n':
		return true
	case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r):
		return false
	}
	return unicode.IsPrint(r)
}
