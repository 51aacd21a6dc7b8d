package bars_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/bars"
)

func TestReadXML(t *testing.T) {
	const entry = `<entry><resource><MessageHeader><id value="h"/><reason><coding><code value="new"/></coding></reason></MessageHeader></resource></entry>`
	for text, want := range map[string]bars.Message{
		"<Slot/>": {Root: "Slot"},
		"<?xml version='1.0'?><!-- a --><Bundle xmlns='http://hl7.org/fhir'><id value='b'/><type value='message'/>" + entry + "</Bundle>": {
			Root: "Bundle", Kind: "message", ID: "b", HasFirst: true, HeaderID: "h", Reasons: []string{"new"}},
		"<Bundle><entry><resource><Slot/></resource></entry>" + entry + "</Bundle>": {Root: "Bundle", HeaderID: "h", Reasons: []string{"new"}},
		"<Slot>" + entry + "</Slot>": {Root: "Slot"},
	} {
		got, err := bars.ReadXML([]byte(text))
		if err != nil || got.Root != want.Root || got.Kind != want.Kind || got.ID != want.ID || got.HasFirst != want.HasFirst ||
			got.HeaderID != want.HeaderID || !slices.Equal(got.Reasons, want.Reasons) {
			t.Errorf("%s: got %+v, error %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "x", "<Bundle>", "<a></b>", "<a>&x;</a>", strings.Repeat("<a>", 100)} {
		if got, err := bars.ReadXML([]byte(text)); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

func FuzzReadXML(f *testing.F) {
	f.Add([]byte("<Bundle><id value='b'/></Bundle>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if got, err := bars.ReadXML(text); err == nil && got.Root == "" {
			t.Errorf("%q: got no root and no error", text)
		}
	})
}
