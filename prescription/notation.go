package prescription

import (
	"errors"
	"fmt"
	"strings"
)

// notation writes a document or reads one. Each part of the document is described once, for both directions. Reading
// accepts only the bytes that writing would produce; after the first difference nothing more is read.
type notation struct {
	out strings.Builder // the document, when writing

	reading bool
	rest    string // the rest of the document, when reading
	read    int    // bytes read so far
	err     error
}

func (n *notation) fail(format string, args ...any) {
	if n.err == nil {
		n.err = fmt.Errorf("at byte %d: %w", n.read, fmt.Errorf(format, args...))
	}
	n.rest = ""
}

// take consumes some bytes.
func (n *notation) take(bytes int) string {
	taken := n.rest[:bytes]
	n.rest = n.rest[bytes:]
	n.read += bytes
	return taken
}

// next reports whether a part comes next, when reading.
func (n *notation) next(part string) bool { return n.err == nil && strings.HasPrefix(n.rest, part) }

// markup is a fixed part.
func (n *notation) markup(part string) {
	switch {
	case !n.reading:
		n.out.WriteString(part)
	case n.next(part):
		n.take(len(part))
	default:
		n.fail("expected %.60q", part)
	}
}

// when reports whether an optional part is there. Reading looks for its beginning.
func (n *notation) when(there bool, begins ...string) bool {
	if !n.reading {
		return there
	}
	return n.next(strings.Join(begins, ""))
}

// each handles a repeated part. Reading goes on for as long as the next part has the same beginning.
func each[T any](n *notation, begins string, values *[]T, one func(*T)) {
	if !n.reading {
		for i := range *values {
			one(&(*values)[i])
		}
		return
	}
	for n.next(begins) {
		var value T
		one(&value)
		*values = append(*values, value)
	}
}

// value is a text up to the character that ends it.
func (n *notation) value(v *string, end string, escape, unescape *strings.Replacer, normal func(string) (string, error)) {
	if !n.reading {
		_, _ = escape.WriteString(&n.out, *v)
		return
	}
	length := strings.Index(n.rest, end)
	if length < 0 {
		n.fail("the document ends within a value")
		return
	}
	raw := n.take(length)
	*v = unescape.Replace(raw)
	made, err := normal(*v)
	switch {
	case err != nil:
		n.fail("%w", err)
	case made != *v:
		n.fail("value has white space that the translation would have changed")
	case escape.Replace(*v) != raw:
		n.fail("value is not escaped as canonical XML requires")
	}
}

// content is the text of an element.
func (n *notation) content(v *string) { n.value(v, "<", escapeText, unescapeText, normalText) }

// attribute is an attribute with its value. Checks apply to values that are read.
func (n *notation) attribute(name string, v *string, checks ...func(string) error) {
	n.markup(" ")
	n.markup(name)
	n.markup(`="`)
	n.value(v, `"`, escapeAttribute, unescapeQuoted, normalAttribute)
	n.markup(`"`)
	if n.reading && n.err == nil {
		for _, check := range checks {
			if err := check(*v); err != nil {
				n.fail("%s: %w", name, err)
			}
		}
	}
}

// optional is an attribute that is left out if it has no value.
func (n *notation) optional(name string, v *string, checks ...func(string) error) {
	if n.when(*v != "", " ", name, `="`) {
		n.attribute(name, v, append([]func(string) error{notEmpty}, checks...)...)
	}
}

// element is an element that holds only text.
func (n *notation) element(name string, v *string) {
	n.markup("<")
	n.markup(name)
	n.markup(">")
	n.content(v)
	n.markup("</")
	n.markup(name)
	n.markup(">")
}

// elementIfAny is an element that is left out if it has no text.
func (n *notation) elementIfAny(name string, v *string) {
	if n.when(*v != "", "<", name, ">") {
		n.element(name, v)
		n.must(notEmpty(*v))
	}
}

// must fails if a check of what was read gave an error.
func (n *notation) must(err error) {
	if n.reading && err != nil {
		n.fail("%w", err)
	}
}

// end checks that the document ends here, and returns the first error.
func (n *notation) end() error {
	if n.reading && n.err == nil && n.rest != "" {
		n.fail("unexpected data after the document")
	}
	return n.err
}

var errEmpty = errors.New("empty value should have been omitted")

func notEmpty(v string) error {
	if v == "" {
		return errEmpty
	}
	return nil
}

// oneOf returns a check that a value is one of the codes in a table.
func oneOf(uses map[string]string) func(string) error {
	return func(v string) error {
		for _, use := range uses {
			if use == v {
				return nil
			}
		}
		return fmt.Errorf("%.20q is not a known code", v)
	}
}
