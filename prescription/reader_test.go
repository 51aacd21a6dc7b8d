package prescription

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// TestReaderReturnsTheModel: fragments are read back to the model they were encoded from.
func TestReaderReturnsTheModel(t *testing.T) {
	for _, c := range epsCases(t) {
		if c.Fragments == "" {
			continue
		}
		want, refusal := Translate(mustRead(t, c.source(t)), c.at(t))
		if refusal != nil {
			t.Fatal(refusal)
		}
		got, err := ReadFragments([]byte(c.Fragments))
		if err != nil {
			t.Errorf("%s: got %v, want no error", c.Name, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", c.Name, got, want)
		}
	}
}

// TestReaderRefuses: fragments that no translation makes are rejected, however well-formed they are.
func TestReaderRefuses(t *testing.T) {
	var fragments string
	for _, c := range epsCases(t) {
		if c.Name == "xml-characters" {
			fragments = c.Fragments
		}
	}
	for _, c := range []struct{ name, old, replaced, want string }{
		{"nothing", fragments, "", "expected"},
		{"something behind", "</FragmentsToBeHashed>", "</FragmentsToBeHashed>\n", "unexpected data"},
		{"a declaration", "<FragmentsToBeHashed>", "<?xml version=\"1.0\"?><FragmentsToBeHashed>", "expected"},
		{"white space between", "</Fragment><Fragment>", "</Fragment> <Fragment>", "expected"},
		{"a comment", "</Fragment><Fragment>", "</Fragment><!-- --><Fragment>", "expected"},
		{"an empty element", "></time>", "/>", "expected"},
		{"attributes in another order", `xmlns="urn:hl7-org:v3" value="20261130120000"`, `value="20261130120000" xmlns="urn:hl7-org:v3"`, "expected"},
		{"other quotes", `value="20261130120000"`, `value='20261130120000'`, "expected"},
		{"no namespace", `<time xmlns="urn:hl7-org:v3"`, `<time`, "expected"},
		{"no such time", "20261130120000", "20261131120000", "out of range"},
		{"time with a fraction", "20261130120000", "20261130120000.5", "other bytes"},
		{"a UUID in lower case", `root="4A60DFF9`, `root="4a60dff9`, "upper case"},
		{"an id of nothing", `extension="9990000018"`, `extension=""`, "empty"},
		{"another root", "2.16.840.1.113883.2.1.4.1\"", "2.16.840.1.113883.2.1.4.2\"", "expected"},
		{"an unknown gender", `code="2" codeSystem="2.16.840.1.113883.2.1.3.2.4.16.25"`, `code="3" codeSystem="2.16.840.1.113883.2.1.3.2.4.16.25"`, "not a known code"},
		{"no such birthday", `value="19570309"`, `value="19570229"`, "out of range"},
		{"no such use", `<addr use="WP">`, `<addr use="XX">`, "not a known code"},
		{"an empty use", `<addr use="WP">`, `<addr use="">`, "empty"},
		{"an empty line", "<postalCode>", "<streetAddressLine></streetAddressLine><postalCode>", "empty"},
		{"an empty family", "</given><family>", "</given><family></family><family>", "empty"},
		{"another way to escape", "A&amp;B", "A&#38;B", "not escaped"},
		{"a quote that needs no escape", `"q" 'a'`, `&quot;q&quot; 'a'`, "not escaped"},
		{"an escape that is missing", "2 &lt; 3 &gt; 2", "2 &lt; 3 > 2", "not escaped"},
		{"an escape too many", "&lt;10%>", "&lt;10%&gt;", "not escaped"},
		{"a bare ampersand", "1 &amp; 2", "1 & 2", "not escaped"},
		{"a tab in an attribute", "Drug &quot;", "Drug\t&quot;", "white space"},
		{"a line feed in an attribute", "Drug &quot;", "Drug\n&quot;", "white space"},
		{"a carriage return in a text", "line\nbreak", "line\r\nbreak", "white space"},
		{"a line separator in a text", "line\nbreak", "line\u2028break", "white space"},
		{"a control character", "line\nbreak", "line\x0bbreak", "not allowed in XML"},
		{"no UTF-8", "line\nbreak", "line\xffbreak", "UTF-8"},
		{"a telecom without its scheme", `value="tel:01614960000"`, `value="01614960000"`, "telecom"},
		{"a telecom with white space", `value="tel:01614960000"`, "value=\"tel:0161\u00a04960000\"", "telecom"},
		{"two quantities", `displayName="capsule" value="28"`, `displayName="capsule" value="29"`, "two quantities"},
		{"a quantity that is no number", `unit="1" value="28"`, `unit="1" value="many"`, "not a number"},
		{"a quantity with space", `unit="1" value="28"`, `unit="1" value=" 28"`, "not a number"},
		{"a separable indicator", `<seperatableInd value="false">`, `<seperatableInd value="true">`, "expected"},
		{"no dosage", `<value>1 &amp; 2 &lt; 3 &gt; 2 "q" 'a' &amp;amp; &amp;lt;</value>`, `<value></value>`, "empty"},
		{"an element in the instructions", `note &amp;amp; `, `note &lt;b&gt; `, ""},
		{"an ampersand in the instructions", `note &amp;amp; `, `note &amp; `, "not escaped"},
		{"a character reference in the instructions", `note &amp;amp; `, `note &amp;#38; `, "not escaped"},
		{"medication behind the note", `]]&amp;gt;</value>`, `]]&amp;gt;&lt;medication&gt;x&lt;/medication&gt;</value>`, ""},
		{"empty medication", `<value>note `, `<value>&lt;medication&gt;&lt;/medication&gt;note `, "empty"},
		{"repeats of nothing", `<effectiveTime nullFlavor="NA"></effectiveTime>`, `<effectiveTime nullFlavor="NA"></effectiveTime><repeatNumber><high value="0"></high></repeatNumber>`, "number of repeats"},
		{"repeats with a sign", `<effectiveTime nullFlavor="NA"></effectiveTime>`, `<effectiveTime nullFlavor="NA"></effectiveTime><repeatNumber><high value="+1"></high></repeatNumber>`, "number of repeats"},
		{"too large", "</FragmentsToBeHashed>", strings.Repeat(" ", MaxBytes), "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(fragments, c.old) {
				t.Fatalf("%q is not in the fragments", c.old)
			}
			_, err := ReadFragments([]byte(strings.Replace(fragments, c.old, c.replaced, 1)))
			if !errors.Is(err, ErrFragments) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an ErrFragments with %q", err, c.want)
			}
		})
	}
	_, err := ReadFragments([]byte(`<FragmentsToBeHashed></FragmentsToBeHashed>`))
	if err == nil {
		t.Error("empty fragments: got no error, want one")
	}
}

// TestReaderOfAlteredFragments alters every byte of every case's fragments. If the result is accepted, it means something
// else and is encoded to the same bytes.
func TestReaderOfAlteredFragments(t *testing.T) {
	for _, c := range epsCases(t) {
		if c.Fragments == "" {
			continue
		}
		whole, err := ReadFragments([]byte(c.Fragments))
		if err != nil {
			t.Fatal(err)
		}
		step := len(c.Fragments)/23 + 1 // each case at other places
		for at := len(c.Name) % step; at < len(c.Fragments); at += step {
			for _, altered := range []string{
				c.Fragments[:at],
				c.Fragments[:at] + c.Fragments[at+1:],
				c.Fragments[:at] + "1" + c.Fragments[at:],
				c.Fragments[:at] + string(c.Fragments[at]^1) + c.Fragments[at+1:],
				c.Fragments[:at] + c.Fragments[at:min(at+20, len(c.Fragments))] + c.Fragments[at:],
			} {
				p, err := ReadFragments([]byte(altered))
				if err != nil || altered == c.Fragments {
					continue
				}
				if string(p.Fragments()) != altered {
					t.Fatalf("%s: fragments altered at byte %d are encoded differently", c.Name, at)
				}
				if reflect.DeepEqual(p, whole) {
					t.Fatalf("%s: fragments altered at byte %d mean the same", c.Name, at)
				}
			}
		}
	}
}
