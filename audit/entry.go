package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Entry is one line of a log.
type Entry struct {
	Seq  uint64          `json:"seq"` // counts from 1
	Time time.Time       `json:"time"`
	Prev string          `json:"prev"` // hash of the entry before; empty in the first
	Kind string          `json:"kind"`
	Data json.RawMessage `json:"data"`
	Hash string          `json:"hash"` // SHA-256 of the line up to this member, in hex
}

// hashMark is the start of the last member of a line. Everything before it is hashed.
const hashMark = `,"hash":"`

// line encodes the entry and sets its hash.
func (e *Entry) line() ([]byte, error) {
	e.Hash = ""
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	hashed, found := bytes.CutSuffix(text, []byte(hashMark+`"}`))
	if !found {
		return nil, errors.New("audit: entry was not encoded as expected")
	}
	e.Hash = hashOf(hashed)
	line := append(bytes.Clone(hashed), hashMark...)
	line = append(line, e.Hash...)
	return append(line, "\"}\n"...), nil
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// parse decodes one line and verifies its hash.
func parse(line []byte) (Entry, error) {
	var e Entry
	at := bytes.LastIndex(line, []byte(hashMark))
	if at < 0 {
		return e, errors.New("the line has no hash")
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return e, fmt.Errorf("the line is not an entry: %w", err)
	}
	if !bytes.Equal(line[at:], []byte(hashMark+e.Hash+`"}`)) {
		return e, errors.New("the hash is not the last member of the line")
	}
	if hashOf(line[:at]) != e.Hash {
		return e, errors.New("the line was changed: its hash does not match")
	}
	return e, nil
}

// follows returns an error unless the entry comes directly after another. The zero Entry comes before the first.
func (e Entry) follows(before Entry) error {
	if e.Seq != before.Seq+1 || e.Prev != before.Hash {
		return fmt.Errorf("entry %d does not follow entry %d: something was removed or inserted", e.Seq, before.Seq)
	}
	return nil
}
