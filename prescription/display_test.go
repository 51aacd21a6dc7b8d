package prescription

import (
	"slices"
	"testing"
)

func TestHeading(t *testing.T) {
	for _, c := range []struct {
		names []Name
		want  string
	}{
		{[]Name{{Use: "L", Prefix: []string{"Mrs"}, Given: []string{"Marged"}, Family: "Ashdown"}}, "ASHDOWN, Marged (Mrs)"},
		{[]Name{{Use: "L", Prefix: []string{"Mrs"}, Given: []string{"Marged", "Eluned"}, Family: "Ashdown", Suffix: []string{"OBE"}}}, "ASHDOWN, Marged (Mrs)"},
		{[]Name{{Use: "PREVIOUS", Family: "Pryce"}, {Use: "L", Family: "Siôn-Ŵyn", Given: []string{"Siân"}}}, "SIÔN-ŴYN, Siân"},
		{[]Name{{Use: "PREVIOUS", Family: "Pryce"}, {Family: "Other"}}, "PRYCE"},
		{[]Name{{Text: "Baby of Ashdown"}}, "Baby of Ashdown"},
		{[]Name{{Given: []string{"Marged"}}}, "Marged"},
		{[]Name{{Given: []string{""}, Prefix: []string{"Dr", "Sir"}}}, "(Dr Sir)"},
		{[]Name{{}}, ""},
		{nil, ""},
	} {
		if got := (&Patient{Names: c.names}).Heading(); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.names, got, c.want)
		}
	}
}

func TestSpelling(t *testing.T) {
	p := &Patient{NHSNumber: "9990000018", Born: "19570309", Gender: "2"}
	if got := []string{p.NHSNumberText(), p.BornText(), p.GenderText()}; !slices.Equal(got, []string{"999 000 0018", "09-Mar-1957", "Female"}) {
		t.Errorf("got %q", got)
	}
	for _, number := range []string{"", "999000001", "99900000181", "999000001x", "９９９０００００１８"} {
		if got := (&Patient{NHSNumber: number}).NHSNumberText(); got != number {
			t.Errorf("got %q, want %q as it is signed", got, number)
		}
	}
	name := Name{Prefix: []string{"Dr"}, Given: []string{"A", "B"}, Family: "C", Suffix: []string{"D"}, Text: "no"}
	if got := name.String(); got != "Dr A B C D" {
		t.Errorf("got %q", got)
	}
	for text, want := range map[string]string{"CD: ten": "ten", "CD: ten\nnote": "ten", "CD:ten": "", "note\nCD: ten": "", "": ""} {
		if got, there := (&Instructions{Text: text}).QuantityInWords(); there != (want != "") || there && got != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, there, want)
		}
	}
}

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"plain  text\nnext":         "plain  text\nnext",
		"5\u202egm":                 "5[U+202E]gm",
		"\u200b":                    "[U+200B]",
		"a\tb\u00a0c":               "a[U+0009]b[U+00A0]c",
		"\u2066x\u2069\ufeff\u00ad": "[U+2066]x[U+2069][U+FEFF][U+00AD]",
		"é e\u0301 漢字 😀":            "é e\u0301 漢字 😀",
		"\ufe0f\U000e0100\u034f\u115f\u3164\uffa0\u17b4": "[U+FE0F][U+E0100][U+034F][U+115F][U+3164][U+FFA0][U+17B4]",
		"\U000e0041\ue000\u0378\u009b":                   "[U+E0041][U+E000][U+0378][U+009B]",
		"[U+202E]":                                       "[U+202E]",
		"\ufffd":                                         "\ufffd",
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got, want := Runs("a\u200bb"), []Run{{Text: "a"}, {"U+200B", true}, {Text: "b"}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
