package prescription

import (
	"errors"
	"fmt"
	"strings"
)

// notation writes the parts of a document, or reads them: every part is described once, for both. What it reads is
// exactly what it would have written, byte for byte; anything else is an error, after which nothing is read any more.
type notation struct {
	out strings.Builder // what was written

	reading bool
	rest    string // what is still to be read
	read    int    // bytes that were
	err     error
}

func (n *notation) fail(format string, args ...any) {
	if n.err == nil {
		n.err = fmt.Errorf("at byte %d: %w", n.read, fmt.Errorf(format, args...))
	}
	n.rest = ""
}

// take reads so many bytes.
func (n *notation) take(bytes int) string {
	taken := n.rest[:bytes]
	n.rest = n.rest[bytes:]
	n.read += bytes
	return taken
}

// next tells whether a part comes next; only of use while reading.
func (n *notation) next(part string) bool { return n.err == nil && strings.HasPrefix(n.rest, part) }

// markup is a part that is always the same.
func (n *notation) markup(part string) {
	switch {
	case !n.reading:
		n.out.WriteString(part)
	case n.next(part):
		n.take(len(part))
	default:
		n.fail("%.60q should stand here", part)
	}
}

// when is an optional part that begins so: it tells whether it is there, which writing knows.
func (n *notation) when(there bool, begins ...string) bool {
	if !n.reading {
		return there
	}
	return n.next(strings.Join(begins, ""))
}

// each are as many of a part that begins so as there are.
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

// value is a text between markup, up to the character that ends it.
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
		n.fail("a value has white space that no translation leaves there")
	case escape.Replace(*v) != raw:
		n.fail("a value is not escaped as in canonical XML")
	}
}

// content is the text of an element.
func (n *notation) content(v *string) { n.value(v, "<", escapeText, unescapeText, normalText) }

// attribute is an attribute with its value, in which checks see only what was read.
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

// optional is an attribute that is left out where it has no value.
func (n *notation) optional(name string, v *string, checks ...func(string) error) {
	if n.when(*v != "", " ", name, `="`) {
		n.attribute(name, v, append([]func(string) error{notEmpty}, checks...)...)
	}
}

// element is one that holds a text and nothing else.
func (n *notation) element(name string, v *string) {
	n.markup("<")
	n.markup(name)
	n.markup(">")
	n.content(v)
	n.markup("</")
	n.markup(name)
	n.markup(">")
}

// elementIfAny is an element that is left out where it has no text.
func (n *notation) elementIfAny(name string, v *string) {
	if n.when(*v != "", "<", name, ">") {
		n.element(name, v)
		n.must(notEmpty(*v))
	}
}

// must fails with an error of what was read.
func (n *notation) must(err error) {
	if n.reading && err != nil {
		n.fail("%w", err)
	}
}

// end is where the document has to.
func (n *notation) end() error {
	if n.reading && n.err == nil && n.rest != "" {
		n.fail("something follows the document")
	}
	return n.err
}

var errEmpty = errors.New("a value is empty that would have been left out")

func notEmpty(v string) error {
	if v == "" {
		return errEmpty
	}
	return nil
}

// oneOf checks that a value is among those that a table translates to.
func oneOf(uses map[string]string) func(string) error {
	return func(v string) error {
		for _, use := range uses {
			if use == v {
				return nil
			}
		}
		return fmt.Errorf("%.20q is none of its values", v)
	}
}
