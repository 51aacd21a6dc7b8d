package pipe

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestFrame(t *testing.T) {
	var wire bytes.Buffer
	sent := Batch{Slot: 1 << 40, Serial: "é", Label: "l", Certificate: []byte{0, 1, 2}, Algorithm: "RS256"}
	for _, raw := range []string{"", "1234", strings.Repeat("x", 2<<20)} {
		frame, err := New(Begin, sent, []byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := frame.Write(&wire); err != nil {
			t.Fatal(err)
		}
		got, err := Read(&wire)
		if err != nil {
			t.Fatal(err)
		}
		var head Batch
		if err := got.Head(&head); err != nil || got.Verb != Begin || string(got.Raw) != raw {
			t.Fatalf("got error %v, verb %d, %d bytes", err, got.Verb, len(got.Raw))
		}
		if head.Slot != sent.Slot || head.Serial != sent.Serial || !bytes.Equal(head.Certificate, sent.Certificate) {
			t.Errorf("%+v", head)
		}
		frame.Wipe()
		if !bytes.Equal(frame.Raw, make([]byte, len(raw))) {
			t.Error("the frame was not wiped")
		}
	}
	if _, err := Read(&wire); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: got error %v, want io.EOF", err)
	}
	if _, err := New(Sign, nil, make([]byte, maxFrame)); err == nil {
		t.Error("a frame over the limit: got no error")
	}
}

func TestBrokenFrames(t *testing.T) {
	for name, wire := range map[string][]byte{
		"too short":     {0, 0, 0, 4, 1, 0, 0, 0},
		"too long":      {0xff, 0, 0, 0, 1},
		"breaks off":    {0, 0, 0, 9, 1, 0, 0, 0, 0, 1},
		"head too long": {0, 0, 0, 6, 1, 0, 0, 0, 2, '{'},
		"length alone":  {0, 0},
	} {
		if frame, err := Read(bytes.NewReader(wire)); err == nil {
			t.Errorf("%s: got frame %+v, want an error", name, frame)
		}
	}
	frame, err := Read(bytes.NewReader([]byte{0, 0, 0, 7, 1, 0, 0, 0, 2, '{', '}'}))
	if err != nil || frame.Head(&Batch{}) != nil {
		t.Errorf("the smallest frame: got error %v", err)
	}
	frame, err = New(Begin, map[string]int{"pin": 1234}, nil)
	if err != nil || frame.Head(&Batch{}) == nil {
		t.Error("a head with an unknown member: got no error")
	}
}

// FuzzRead: whatever a broken child prints, reading ends within bounds.
func FuzzRead(f *testing.F) {
	f.Add([]byte{0, 0, 0, 7, 1, 0, 0, 0, 2, '{', '}'})
	f.Add([]byte("the module prints what it likes\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		frame, err := Read(bytes.NewReader(wire))
		if err != nil {
			return
		}
		if len(frame.Raw)+len(frame.head)+preamble > len(wire) {
			t.Error("the frame is larger than the input")
		}
		_ = frame.Head(&Listing{})
	})
}
