package display

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"
)

// looked says which payloads a person has looked at.
func (w *world) looked(k *Keeper, of, person string, payloads ...[]byte) []bool {
	w.Helper()
	found, looked, err := k.Find(w.Context(), of, person, payloads, w.now)
	if err != nil || len(found) != len(payloads) {
		w.Fatal(len(found), err)
	}
	return looked
}

// What a person has looked at is known again to that person alone, for that client and payload, on every node, until the
// display is gone or they take it back.
func TestLook(t *testing.T) {
	w := newWorld(t)
	k := w.node(0)
	one, two, never := w.prepared(simple), w.prepared("controlled-drug"), []byte("never kept")
	w.keep(k, "a", one)
	w.keep(k, "a", two)
	w.keep(k, "b", one)
	look := func(of, person string, looked bool, payloads ...[]byte) {
		t.Helper()
		if err := w.node(0).Look(t.Context(), of, person, payloads, looked); err != nil {
			t.Fatal(err)
		}
	}
	want := func(of, person string, want ...bool) {
		t.Helper()
		if got := w.looked(w.node(0), of, person, one.SignedInfo, two.SignedInfo, never); !slices.Equal(got, want) {
			t.Errorf("client %s, person %s: got %v, want %v", of, person, got, want)
		}
	}
	look("a", "555000000001", true, one.SignedInfo, never)
	want("a", "555000000001", true, false, false)
	want("a", "555000000002", false, false, false)
	want("b", "555000000001", false, false, false)
	if _, _, err := k.Find(t.Context(), "a", "555000000001", [][]byte{one.SignedInfo}, w.now.Add(30*time.Hour)); err != nil {
		t.Fatal(err)
	}
	want("a", "555000000001", true, false, false)
	look("a", "555000000002", true, one.SignedInfo, two.SignedInfo)
	look("a", "555000000001", false, one.SignedInfo)
	want("a", "555000000001", false, false, false)
	want("a", "555000000002", true, true, false)
	w.now = w.now.Add(DefaultLife + time.Minute)
	want("a", "555000000002", true, false, false)
	w.now = w.now.Add(30 * time.Hour)
	want("a", "555000000002", false, false, false)
}

// A display knows the last people who have looked at it, and the store nobody of them.
func TestLookIsBounded(t *testing.T) {
	w := newWorld(t)
	k, p := w.node(0), w.prepared(simple)
	w.keep(k, "a", p)
	person := func(n int) string { return fmt.Sprintf("55500000%04d", n) }
	for n := range maxLookers + 3 {
		if err := k.Look(t.Context(), "a", person(n), [][]byte{p.SignedInfo}, true); err != nil {
			t.Fatal(err)
		}
	}
	for n := range maxLookers + 3 {
		if got, want := w.looked(k, "a", person(n), p.SignedInfo)[0], n >= 3; got != want {
			t.Errorf("person %d of %d: got %v, want %v", n+1, maxLookers+3, got, want)
		}
	}
	records, err := w.store.Get(t.Context(), place{"a", p.SignedInfo}.key())
	if err != nil {
		t.Fatal(err)
	}
	one := lookerOf(person(maxLookers))
	if bytes.Contains(records[0].Value, one[:]) || bytes.Contains(records[0].Value, []byte(person(maxLookers))) {
		t.Error("the store has who looked at it")
	}
}

// Displays of the former form, which an upgrade finds, are shown still.
func TestTheFormerForm(t *testing.T) {
	w := newWorld(t)
	k, p := w.node(0), w.prepared(simple)
	at := place{"a", p.SignedInfo}
	secret, err := k.secrets.current(t.Context(), w.now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	box, err := at.box(secret.value)
	if err != nil {
		t.Fatal(err)
	}
	header := append([]byte{formerForm}, secret.id[:]...)
	value := box.Seal(slices.Clone(header), nil, k.zip.EncodeAll(p.Fragments, nil), header)
	if found, err := k.open(t.Context(), at, value); err != nil || found == nil || !bytes.Equal(found.fragments, p.Fragments) {
		t.Errorf("got %v, %v", found, err)
	}
}
