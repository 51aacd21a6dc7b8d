// Package textfile reads text that people and programs of other systems wrote: key sets, PEM, catalogues, PIN files.
//
//	UTF8    text without its byte order mark, and UTF-16 as UTF-8
//	Blocks  the PEM blocks of a text, none of which is skipped
//
// What cannot be read is named for what it is, never guessed, and never skipped in silence. The package opens no file, and no
// error of it contains any of the text.
package textfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unicode/utf16"
	"unicode/utf8"
)

// The byte order marks by which an encoding is recognised.
var (
	markUTF8    = []byte{0xef, 0xbb, 0xbf}
	markUTF16LE = []byte{0xff, 0xfe}
	markUTF16BE = []byte{0xfe, 0xff}
	markUTF32LE = []byte{0xff, 0xfe, 0, 0}
	markUTF32BE = []byte{0, 0, 0xfe, 0xff}
)

// UTF8 returns a text as UTF-8 without a byte order mark, which editors of Windows write. UTF-16 with its mark, as PowerShell
// writes it, is converted. UTF-32, and UTF-16 without a mark, are errors that say so. UTF8 leaves anything else as it is,
// invalid UTF-8 too. The result may share the memory of data.
func UTF8(data []byte) ([]byte, error) {
	const fix = ": save it as UTF-8"
	switch {
	case bytes.HasPrefix(data, markUTF32LE), bytes.HasPrefix(data, markUTF32BE):
		return nil, errors.New("text is encoded as UTF-32" + fix)
	case bytes.HasPrefix(data, markUTF16LE):
		return fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, markUTF16BE):
		return fromUTF16(data[2:], binary.BigEndian)
	case len(data) > 1 && (data[0] == 0) != (data[1] == 0):
		return nil, errors.New("text is encoded as UTF-16 without a byte order mark" + fix)
	}
	return bytes.TrimPrefix(data, markUTF8), nil
}

func fromUTF16(data []byte, order binary.ByteOrder) ([]byte, error) {
	broken := errors.New("text begins as UTF-16 and is none to its end: save it as UTF-8")
	if len(data)%2 != 0 {
		return nil, broken
	}
	text := make([]byte, 0, 3*len(data)/2) // enough for all of it, so that no copy of a secret stays behind
	for ; len(data) > 0; data = data[2:] {
		r := rune(order.Uint16(data))
		if utf16.IsSurrogate(r) {
			if len(data) < 4 {
				return nil, broken
			}
			if r = utf16.DecodeRune(r, rune(order.Uint16(data[2:]))); r == utf8.RuneError {
				return nil, broken
			}
			data = data[2:]
		}
		text = utf8.AppendRune(text, r)
	}
	return text, nil
}
