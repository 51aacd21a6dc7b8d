package caddymodule

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/seed-dd2befc3/countersign/textfile"
)

// CheckPoolFiles refuses a trust pool of Caddy's with a file of which Caddy would silently skip a certificate: one that begins
// with a byte order mark, or has a block that cannot be read. A pool that reads no files, and a file that is not there, are
// Caddy's to judge.
func CheckPoolFiles(pool json.RawMessage) error {
	var of struct {
		Provider string   `json:"provider"`
		Files    []string `json:"pem_files"`
	}
	if json.Unmarshal(pool, &of) != nil || of.Provider != "file" {
		return nil
	}
	for _, path := range of.Files {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if err := checkPoolText(text); err != nil {
			return fmt.Errorf("trust_pool file %s: %w", path, err)
		}
	}
	return nil
}

func checkPoolText(text []byte) error {
	blocks, err := textfile.Blocks(text)
	if err != nil {
		return err
	}
	seen := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		seen++
	}
	if seen != len(blocks) {
		return errors.New("the file begins with a byte order mark or is UTF-16, of which Caddy would skip a certificate: save it as UTF-8 without one")
	}
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("PEM block is %.40q, want only CERTIFICATE", block.Type)
		}
	}
	return nil
}
