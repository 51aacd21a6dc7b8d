package prescription

import (
	"errors"
	"reflect"
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
)

// TestDisplay shows fragments for their own payload only.
func TestDisplay(t *testing.T) {
	for _, algorithm := range []string{client.RS1, client.RS256} {
		prepared, outcome := Prepare(edited(t, "four-items"), MayPrescribe, algorithm, noon)
		if outcome != nil {
			t.Fatal(outcome)
		}
		want, refusal := Translate(edited(t, "four-items"), noon)
		if refusal != nil {
			t.Fatal(refusal)
		}
		got, err := Display(prepared.Fragments, prepared.SignedInfo)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", algorithm, got, err, want)
		}
		later, _ := Prepare(edited(t, "four-items"), MayPrescribe, algorithm, noon.AddDate(0, 0, 1))
		foreign, _, err := client.SignedInfoFor(algorithm, prepared.Fragments, "")
		if err != nil {
			t.Fatal(err)
		}
		for name, payload := range map[string][]byte{
			"a payload of another time": later.SignedInfo, "nothing": nil, "the fragments": prepared.Fragments, "another form of SignedInfo": foreign,
		} {
			if shown, err := Display(prepared.Fragments, payload); !errors.Is(err, ErrDigest) || shown != nil {
				t.Errorf("%s, %s: got %v, %v, want ErrDigest", algorithm, name, shown, err)
			}
		}
		for at := range prepared.Fragments {
			prepared.Fragments[at] ^= 1
			if shown, err := Display(prepared.Fragments, prepared.SignedInfo); err == nil || shown != nil {
				t.Fatalf("%s: fragments altered at byte %d were shown", algorithm, at)
			}
			prepared.Fragments[at] ^= 1
		}
	}
	fragments := []byte("<FragmentsToBeHashed></FragmentsToBeHashed>")
	info, _, err := client.SignedInfo(client.RS256, fragments)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Display(fragments, info); !errors.Is(err, ErrFragments) {
		t.Errorf("got %v for empty fragments, want ErrFragments", err)
	}
	pss, _, err := client.SignedInfo(client.PS256, fragments)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Display(fragments, pss); !errors.Is(err, ErrDigest) {
		t.Errorf("got %v for PS256, which EPS does not accept, want ErrDigest", err)
	}
}
