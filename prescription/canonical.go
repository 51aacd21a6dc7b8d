package prescription

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The translation normalises white space before it writes XML (EPS-2.3). Afterwards canonical XML only has to escape.
// Both normal forms are stable: normalising twice changes nothing. Characters that XML 1.0 cannot hold are refused
// (EPS-2.4).

const (
	nextLine           = '\u0085'
	lineSeparator      = '\u2028'
	paragraphSeparator = '\u2029'
)

// normalText returns a text as the content of an element: every line break becomes one line feed.
func normalText(text string) (string, error) { return normal(text, false) }

// normalAttribute returns a text as the value of an attribute: every line break becomes one space, and so does every run
// of tabs and form feeds.
func normalAttribute(text string) (string, error) { return normal(text, true) }

func normal(text string, attribute bool) (string, error) {
	if isPlain(text) {
		return text, nil
	}
	var out strings.Builder
	out.Grow(len(text))
	last := rune(0)
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
			return "", errors.New("text is not UTF-8")
		case last == '\r' && (r == '\n' || r == nextLine):
			// the second half of a line break (XML 1.1 §2.11)
		case isLineBreak(r):
			out.WriteByte(lineBreak(attribute))
		case attribute && (r == '\t' || r == '\f'):
			if last != '\t' && last != '\f' {
				out.WriteByte(' ')
			}
		case !isXML(r):
			return "", fmt.Errorf("character U+%04X is not allowed in XML", r)
		default:
			out.WriteRune(r)
		}
		last = r
	}
	return out.String(), nil
}

// isPlain reports whether a text is printable ASCII, which is normal already.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isLineBreak(r rune) bool {
	return r == '\n' || r == '\r' || r == nextLine || r == lineSeparator || r == paragraphSeparator
}

func lineBreak(attribute bool) byte {
	if attribute {
		return ' '
	}
	return '\n'
}

// isXML reports whether XML 1.0 can hold a character (§2.2).
func isXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || (r >= ' ' && r <= 0xD7FF) || (r >= 0xE000 && r <= 0xFFFD) || r >= 0x10000
}

// isSpace reports whether a character is white space to JavaScript: that of Unicode and U+FEFF, but not U+0085.
func isSpace(r rune) bool {
	return r == '\ufeff' || (r != nextLine && unicode.IsSpace(r))
}

var (
	escapeText      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	escapeAttribute = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;")
	unescapeText    = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")
	unescapeQuoted  = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&quot;", `"`)
)
