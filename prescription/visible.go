package prescription

import (
	"fmt"
	"strings"
	"unicode"
)

// Run is a part of a text: visible characters, or the name of one that is not visible.
type Run struct {
	Text   string
	Hidden bool // Text is the name of one character, such as U+202E
}

// Runs splits a text so that no character in it is invisible. Control characters, characters without a glyph, characters
// that change the direction of others, and white space other than a space or a line feed become their own runs.
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

// Visible returns a text in which hidden characters are replaced by their names in brackets: a[U+202E]b.
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

// seen reports whether a character is visible as what it is.
func seen(r rune) bool {
	switch {
	case r == '\n':
		return true
	case unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r):
		return false
	}
	return unicode.IsPrint(r)
}
