package textfile_test

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/seed-dd2befc3/countersign/textfile"
)

// as16 encodes a text as UTF-16.
func as16(text string, order binary.AppendByteOrder, mark bool) []byte {
	var data []byte
	if mark {
		data = order.AppendUint16(data, 0xfeff)
	}
	for _, unit := range utf16.Encode([]rune(text)) {
		data = order.AppendUint16(data, unit)
	}
	return data
}

func TestUTF8(t *testing.T) {
	for name, c := range map[string]struct {
		data       []byte
		want, fail string
	}{
		"plain":             {[]byte("1234\n"), "1234\n", ""},
		"empty":             {nil, "", ""},
		"one byte":          {[]byte("1"), "1", ""},
		"mark":              {[]byte("\xef\xbb\xbf1234"), "1234", ""},
		"mark alone":        {[]byte("\xef\xbb\xbf"), "", ""},
		"UTF-16LE":          {as16("1234é😀\r\n", binary.LittleEndian, true), "1234é😀\r\n", ""},
		"UTF-16BE":          {as16("1234é😀", binary.BigEndian, true), "1234é😀", ""},
		"UTF-16 cut":        {as16("1234", binary.BigEndian, true)[:7], "", "UTF-16"},
		"half a pair":       {[]byte{0xff, 0xfe, 0x00, 0xd8}, "", "UTF-16"},
		"a pair of no use":  {[]byte{0xff, 0xfe, 0x00, 0xd8, 0x41, 0x00}, "", "UTF-16"},
		"UTF-16LE unmarked": {as16("1234", binary.LittleEndian, false), "", "UTF-16 without"},
		"UTF-16BE unmarked": {as16("1234", binary.BigEndian, false), "", "UTF-16 without"},
		"UTF-32LE":          {[]byte{0xff, 0xfe, 0, 0, '1', 0, 0, 0}, "", "UTF-32"},
		"UTF-32BE":          {[]byte{0, 0, 0xfe, 0xff, 0, 0, 0, '1'}, "", "UTF-32"},
		"not UTF-8":         {[]byte("caf\xe9"), "caf\xe9", ""},
	} {
		got, err := textfile.UTF8(c.data)
		if string(got) != c.want || (err != nil) != (c.fail != "") || err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%s: got %q, %v, want %q and an error with %q", name, got, err, c.want, c.fail)
		}
	}
}

// block is a PEM block that holds one text.
func block(text string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(text)}))
}

func TestBlocks(t *testing.T) {
	one, two := block("one"), block(strings.Repeat("two", 50))
	for name, c := range map[string]struct {
		text, fail string
		blocks     int
	}{
		"two":                        {one + two, "", 2},
		"none":                       {"no block at all\n", "", 0},
		"nothing":                    {"", "", 0},
		"text between":               {"# Root 1\nsubject=CN = one\n---\n" + one + "\nissuer: BEGIN and END\n" + two + "the end\n", "", 2},
		"CRLF":                       {strings.ReplaceAll(one+two, "\n", "\r\n"), "", 2},
		"mark":                       {"\xef\xbb\xbf" + one + two, "", 2},
		"UTF-16":                     {string(as16(one+two, binary.LittleEndian, true)), "", 2},
		"mark in the middle":         {one + "\xef\xbb\xbf" + two, "line 4", 0},
		"indented":                   {one + "  " + two, "line 4", 0},
		"commented out":              {one + "# " + two, "line 4", 0},
		"cut off":                    {one + two[:60], "line 4", 0},
		"cut off at the start":       {one[:40] + "\n" + two, "line 1", 0},
		"no first line":              {one + two[28:], "ends on line", 0},
		"wrong end":                  {one + strings.Replace(two, "END CERTIFICATE", "END CERTIFICAT", 1), "line 4", 0},
		"four dashes":                {one + two[1:], "line 4", 0},
		"dashes of a word processor": {strings.ReplaceAll(one, "-----", "——–") + two, "line 1", 0},
		"base64 of no use":           {strings.Replace(one, "b25l", "b2*l", 1) + two, "line 1", 0},
		"a mark of another program":  {"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n", "line 1", 0},
		"all on one line":            {strings.ReplaceAll(one, "\n", " ") + "\n" + two, "line 1", 0},
	} {
		blocks, err := textfile.Blocks([]byte(c.text))
		if len(blocks) != c.blocks || (err != nil) != (c.fail != "") || err != nil && !strings.Contains(err.Error(), c.fail) {
			t.Errorf("%s: got %d blocks, %v, want %d and an error with %q", name, len(blocks), err, c.blocks, c.fail)
		}
	}
}

func TestEncrypted(t *testing.T) {
	for text, want := range map[string]bool{
		"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n":                                           true,
		"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0102\n\nAAAA\n-----END RSA PRIVATE KEY-----\n": true,
		"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n":                                                       false,
	} {
		blocks, err := textfile.Blocks([]byte(text))
		if err != nil || len(blocks) != 1 || textfile.Encrypted(blocks[0]) != want {
			t.Errorf("%.40q: got %d blocks, %v, want one that is encrypted: %v", text, len(blocks), err, want)
		}
	}
}

// FuzzBlocks: every block that encoding/pem finds is found, or the text is refused.
func FuzzBlocks(f *testing.F) {
	f.Add([]byte(block("one") + block("two")))
	f.Add([]byte("\xef\xbb\xbf" + block("one") + "x" + block("two")))
	f.Fuzz(func(t *testing.T, data []byte) {
		blocks, err := textfile.Blocks(data)
		if err != nil {
			return
		}
		text, err := textfile.UTF8(data)
		if err != nil {
			t.Fatalf("UTF8 refuses what Blocks read: %v", err)
		}
		if begun := bytes.Count(text, []byte("-----BEGIN ")); begun != len(blocks) {
			t.Errorf("got %d blocks of %d that begin", len(blocks), begun)
		}
	})
}
