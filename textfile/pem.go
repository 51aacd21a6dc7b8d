package textfile

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"regexp"
	"strings"
)

// edge finds what is meant as the first or last line of a PEM block, whatever happened to its dashes.
var edge = regexp.MustCompile(`(?i)[-\x{2010}-\x{2015}\x{2212}]{2,}[ \t]*(BEGIN|END)[ \t]`)

// Blocks returns the PEM blocks of a text, which UTF8 reads, in their order. Explanatory text between blocks is ignored (RFC
// 7468 §5.2). A block that begins but cannot be read is an error with its line: encoding/pem would skip it, and a bundle would
// silently lose one of its certificates. A text without any block has none, which is no error.
func Blocks(data []byte) ([]*pem.Block, error) {
	text, err := UTF8(data)
	if err != nil {
		return nil, err
	}
	var blocks []*pem.Block
	for line, rest := 1, text; ; {
		block, after := pem.Decode(rest)
		read := rest[:len(rest)-len(after)]
		if block == nil {
			read = rest
		}
		if err := onlyOne(read, block != nil, line); err != nil {
			return nil, err
		}
		if block == nil {
			return blocks, nil
		}
		blocks = append(blocks, block)
		line += bytes.Count(read, []byte("\n"))
		rest = after
	}
}

// onlyOne refuses a text, which begins at a line, with other edges of blocks than those of the one block read from its end.
func onlyOne(text []byte, one bool, line int) error {
	found := edge.FindAllSubmatchIndex(text, -1)
	if one && len(found) == 2 || !one && len(found) == 0 {
		return nil
	}
	line += bytes.Count(text[:found[0][0]], []byte("\n"))
	if strings.EqualFold(string(text[found[0][2]:found[0][3]]), "END") {
		return fmt.Errorf("the PEM block that ends on line %d has no first line (-----BEGIN …-----) that can be read: correct or remove it", line)
	}
	return fmt.Errorf("the PEM block that begins on line %d cannot be read (damaged, cut off, indented or commented out): correct or remove it", line)
}

// Encrypted reports whether a block is a private key under a passphrase, in PKCS #8 or in OpenSSL's traditional form, whose
// headers say so (RFC 1421 §4.6.1.1).
func Encrypted(block *pem.Block) bool {
	return block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED")
}
