package prescription

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Texts become what the translation makes of them before it writes XML, so that canonical XML has nothing left to
// do but to escape. Both functions leave what they made unchanged, and refuse what XML 1.0 cannot hold.

const (
	nextLine           = '\u0085'
	lineSeparator      = '\u2028'
	paragraphSeparator = '\u2029'
)

// normalText is a text as the content of an element: each line break is one line feed.
func normalText(text string) (string, error) { return normal(text, false) }

// normalAttribute is a text as the value of an attribute: each line break is one space, and so is each run of tabs
// and form feeds.
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
			return "", fmt.Errorf("it is not UTF-8")
		case last == '\r' && (r == '\n' || r == nextLine):
			// It ends the line break that the carriage return began (XML 1.1 §2.11).
		case isLineBreak(r):
			out.WriteByte(lineBreak(attribute))
		case attribute && (r == '\t' || r == '\f'):
			if last != '\t' && last != '\f' {
				out.WriteByte(' ')
			}
		case !isXML(r):
			return "", fmt.Errorf("XML has no place for the character U+%04X", r)
		default:
			out.WriteRune(r)
		}
		last = r
	}
	return out.String(), nil
}

// isPlain tells whether a text is left as it is, at a glance.
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

// isXML tells whether XML 1.0 can hold a character (§2.2).
func isXML(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || (r >= ' ' && r <= 0xD7FF) || (r >= 0xE000 && r <= 0xFFFD) || r >= 0x10000
}

// isSpace tells what the white space of a telephone number is: that of Unicode and the byte order mark, but not
// U+0085, which is a line break like others of the text.
func isSpace(r rune) bool {
	return r == '\ufeff' || (r != nextLine && unicode.IsSpace(r))
}

var (
	escapeText      = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	escapeAttribute = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;")
	unescapeText    = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">")
	unescapeQuoted  = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&quot;", `"`)
)
