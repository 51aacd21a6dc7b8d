package prescription

import (
	"testing"
	"unicode/utf8"
)

// TestNormalForms compares texts with their normal forms in an element and in an attribute.
func TestNormalForms(t *testing.T) {
	for _, c := range []struct{ source, text, attribute string }{
		{"", "", ""},
		{"plain", "plain", "plain"},
		{"  two  spaces  ", "  two  spaces  ", "  two  spaces  "},
		{"a\tb", "a\tb", "a b"},
		{"a\t\t\tb", "a\t\t\tb", "a b"},
		{"a \t b", "a \t b", "a   b"},
		{"a\nb", "a\nb", "a b"},
		{"a\r\nb", "a\nb", "a b"},
		{"a\rb", "a\nb", "a b"},
		{"a\r\rb", "a\n\nb", "a  b"},
		{"a\r\r\nb", "a\n\nb", "a  b"},
		{"a\n\rb", "a\n\nb", "a  b"},
		{"a\u0085b", "a\nb", "a b"},
		{"a\r\u0085b", "a\nb", "a b"},
		{"a\r\n\u0085b", "a\n\nb", "a  b"},
		{"a\u2028b\u2029c", "a\nb\nc", "a b c"},
		{"a\t\n\tb", "a\t\n\tb", "a   b"},
		{"\r", "\n", " "},
		{"nbsp\u00a0\u200b\ufeff", "nbsp\u00a0\u200b\ufeff", "nbsp\u00a0\u200b\ufeff"},
		{"\u007f\u0080\u009f", "\u007f\u0080\u009f", "\u007f\u0080\u009f"},
		{"\ufffd\ue000\U0001fffe\U0010ffff", "\ufffd\ue000\U0001fffe\U0010ffff", "\ufffd\ue000\U0001fffe\U0010ffff"},
		{`&<>"'&amp;`, `&<>"'&amp;`, `&<>"'&amp;`},
	} {
		for _, form := range []struct {
			of   string
			want string
			make func(string) (string, error)
		}{{"text", c.text, normalText}, {"attribute", c.attribute, normalAttribute}} {
			got, err := form.make(c.source)
			if err != nil || got != form.want {
				t.Errorf("%q as %s: got %q, %v; want %q", c.source, form.of, got, err, form.want)
			}
			if again, err := form.make(got); err != nil || again != got {
				t.Errorf("%q as %s again: got %q, %v; want no change", got, form.of, again, err)
			}
		}
	}
}

// TestForbiddenCharacters: XML 1.0 does not allow these characters in any text.
func TestForbiddenCharacters(t *testing.T) {
	for r := rune(0); r <= 0x10FFFF; r++ {
		switch {
		case r >= 0xD800 && r <= 0xDFFF:
			continue // no string can contain it
		case r > 0x10010:
			r += 0xFFF // all of these are alike
		}
		text := "a" + string(r) + "b"
		allowed := r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r != 0xFFFE && r != 0xFFFF
		if _, err := normalText(text); (err == nil) != allowed {
			t.Fatalf("U+%04X in a text: got %v, want allowed %v", r, err, allowed)
		}
		if _, err := normalAttribute(text); (err == nil) != (allowed || r == '\f') {
			t.Fatalf("U+%04X in an attribute: got %v, want allowed %v", r, err, allowed || r == '\f')
		}
	}
	for _, text := range []string{"a\xff", "\xed\xa0\x80", "\xc0\x80", "\xe2\x80"} {
		if utf8.ValidString(text) {
			t.Fatalf("%q should not be UTF-8", text)
		}
		if _, err := normalText(text); err == nil {
			t.Errorf("%q: got no error, want one", text)
		}
	}
}

// TestTelephone strips what JavaScript calls white space, and nothing else.
func TestTelephone(t *testing.T) {
	for source, want := range map[string]string{
		"0161 496 0000":           "tel:01614960000",
		"tel:1":                   "tel:1",
		" t e l : 1":              "tel:1",
		"TEL:1":                   "tel:TEL:1",
		"Tel:1":                   "tel:Tel:1",
		"mailto:a@b":              "tel:mailto:a@b",
		"\t\n\v\f\r \u00a0\ufeff": "tel:",
		"1\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u30002": "tel:12",
		"1\u200b\u180e\u20602":                               "tel:1\u200b\u180e\u20602",
		"1\u00852":                                           "tel:1\u00852",
	} {
		if got := telephone(source); got != want {
			t.Errorf("%q: got %q, want %q", source, got, want)
		}
	}
}
