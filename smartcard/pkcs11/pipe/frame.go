package pipe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
)

// Version is the version of this protocol. Agent and child are the same program, so another version means that the
// program's file was replaced while it was running.
const Version = 1

// Verb is the kind of a frame.
type Verb byte

// The verbs: the child sends one reply to each request.
const (
	Hello Verb = iota + 1
	List
	Cards
	Begin
	Begun
	Sign
	Signed
	End
	Done
	Failed
)

const (
	maxFrame = 4 << 20 // bytes: more than a job can hold
	preamble = 9       // bytes before a frame's head
)

// Frame is one message. Wipe it after use if it carried a PIN.
type Frame struct {
	Verb Verb
	Raw  []byte

	whole []byte // backs Raw and the head
	head  []byte
}

// New makes a frame. head may be nil.
func New(verb Verb, head any, raw []byte) (*Frame, error) {
	var text []byte
	if head != nil {
		var err error
		if text, err = json.Marshal(head); err != nil {
			return nil, err
		}
	}
	size := preamble + len(text) + len(raw)
	if size > maxFrame {
		return nil, errors.New("pipe: too large for one frame")
	}
	f := &Frame{Verb: verb, whole: make([]byte, size)}
	binary.BigEndian.PutUint32(f.whole, uint32(size-4)) //nolint:gosec // at most maxFrame
	f.whole[4] = byte(verb)
	binary.BigEndian.PutUint32(f.whole[5:], uint32(len(text))) //nolint:gosec // at most maxFrame
	f.head = f.whole[preamble : preamble+copy(f.whole[preamble:], text)]
	f.Raw = f.whole[preamble+len(text):]
	copy(f.Raw, raw)
	return f, nil
}

// Write writes the frame in one piece.
func (f *Frame) Write(w io.Writer) error {
	_, err := w.Write(f.whole)
	return err
}

// Read reads the next frame. At the end of the other side's output it returns io.EOF.
func Read(r io.Reader) (*Frame, error) {
	var start [4]byte
	if _, err := io.ReadFull(r, start[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(start[:])
	if size < preamble-4 || size > maxFrame-4 {
		return nil, fmt.Errorf("pipe: invalid frame of %d bytes", size)
	}
	whole := make([]byte, 4+size)
	copy(whole, start[:])
	if _, err := io.ReadFull(r, whole[4:]); err != nil {
		return nil, fmt.Errorf("pipe: incomplete frame: %w", err)
	}
	head := binary.BigEndian.Uint32(whole[5:])
	if head > size+4-preamble {
		return nil, errors.New("pipe: head longer than its frame")
	}
	return &Frame{Verb: Verb(whole[4]), whole: whole, head: whole[preamble : preamble+head], Raw: whole[preamble+head:]}, nil
}

// Head decodes the frame's JSON.
func (f *Frame) Head(into any) error {
	return json.Unmarshal(f.head, into, json.RejectUnknownMembers(true))
}

// Wipe overwrites the whole frame.
func (f *Frame) Wipe() { clear(f.whole) }
