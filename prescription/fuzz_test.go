package prescription

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
)

// FuzzReadBundle: a bundle that is read and translated is read back from its fragments.
func FuzzReadBundle(f *testing.F) {
	for _, c := range epsCases(f) {
		f.Add(c.source(f))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		before := bytes.Clone(source)
		b, err := ReadBundle(source)
		if err != nil {
			return
		}
		_ = b.Check(MayPrescribe)
		p, refusal := Translate(b, noon)
		if !bytes.Equal(before, source) {
			t.Fatal("the bundle was modified")
		}
		if refusal != nil {
			return
		}
		fragments := p.Fragments()
		read, err := ReadFragments(fragments)
		if len(fragments) > MaxBytes {
			return
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, fragments)
		}
		if !reflect.DeepEqual(read, p) {
			t.Fatalf("got\n%#v\nwant\n%#v", read, p)
		}
		mustMean(t, fragments, p)
		if _, _, err := client.SignedInfo(client.RS256, fragments); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzReadFragments: accepted fragments are encoded to the same bytes, and mean the same to another XML parser.
func FuzzReadFragments(f *testing.F) {
	for _, c := range epsCases(f) {
		f.Add([]byte(c.Fragments))
	}
	f.Fuzz(func(t *testing.T, fragments []byte) {
		p, err := ReadFragments(fragments)
		if err != nil {
			return
		}
		if got := p.Fragments(); !bytes.Equal(got, fragments) {
			t.Fatalf("encoded differently: %s", difference(got, fragments))
		}
		mustMean(t, fragments, p)
	})
}
