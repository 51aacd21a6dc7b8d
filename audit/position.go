package audit

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Position identifies one entry of a log by its number and hash. The hash covers the hash of the entry before, so a
// position stands for everything up to it: a log that contains it has exactly these entries before it. A position kept
// elsewhere can prove later that the log was cut back or rewritten, even with the gateway's keys.
type Position struct {
	Node   string `json:"node,omitempty"` // the log's name; empty if it has none or is unknown
	Number uint64 `json:"number"`
	Hash   string `json:"hash"`
}

// String returns the position in the form in which people keep it: gw-1/5123:9f86d0…
func (p Position) String() string {
	text := strconv.FormatUint(p.Number, 10) + ":" + p.Hash
	if p.Node != "" {
		text = p.Node + "/" + text
	}
	return text
}

// ParsePosition parses the result of String. The name is optional.
func ParsePosition(text string) (Position, error) {
	malformed := fmt.Errorf("%.100q is not a head such as gw-1/5123:9f86…, with all 64 digits of the hash", text)
	p := Position{}
	rest := strings.TrimSpace(text)
	if node, after, named := strings.Cut(rest, "/"); named {
		if CheckNode(node) != nil {
			return p, malformed
		}
		p.Node, rest = node, after
	}
	number, hash, found := strings.Cut(rest, ":")
	n, err := strconv.ParseUint(number, 10, 64)
	sum, hexErr := hex.DecodeString(hash)
	if !found || err != nil || n == 0 || hexErr != nil || len(sum) != 32 {
		return Position{}, malformed
	}
	p.Number, p.Hash = n, hex.EncodeToString(sum)
	return p, nil
}

// position returns the position of the entry.
func (e Entry) position(node string) Position {
	return Position{Node: node, Number: e.Seq, Hash: e.Hash}
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// CheckNode returns an error if a log cannot have that name.
func CheckNode(name string) error {
	if !nodeName.MatchString(name) {
		return fmt.Errorf("%.100q is not a node's name: up to 63 letters, digits, dots, hyphens and underscores, the first a letter or digit", name)
	}
	return nil
}

// nodeFrom derives a node name from a host name.
func nodeFrom(host string) string {
	name := regexp.MustCompile(`[^A-Za-z0-9._-]+`).ReplaceAllString(host, "-")
	name = strings.TrimLeft(name, "._-")
	if name == "" {
		return "gateway"
	}
	return name[:min(len(name), 63)]
}
