package prescription

import (
	"encoding/base64"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

// TimestampFormat is the form of the timestamp that $prepare returns (EPS-1.4).
const TimestampFormat = "2006-01-02T15:04:05-07:00"

// Prepared is a prescription ready to be signed.
type Prepared struct {
	Fragments  []byte
	SignedInfo []byte    // in canonical form: the bytes that are signed
	Timestamp  time.Time // goes into the signature's when
	Algorithm  string    // client.RS1 or client.RS256
}

// Prepare does the work of $prepare: it checks and translates a bundle and makes the SignedInfo over its fragments. The
// outcome is nil on success.
func Prepare(b *Bundle, access Access, algorithm string, at time.Time) (Prepared, *Outcome) {
	if issues := b.Check(access); len(issues) > 0 {
		return Prepared{}, &Outcome{issues}
	}
	p, refusal := Translate(b, at)
	if refusal != nil {
		return Prepared{}, &Outcome{[]Issue{refusal.Issue()}}
	}
	fragments := p.Fragments()
	info, _, err := client.SignedInfo(algorithm, fragments)
	if err != nil {
		return Prepared{}, &Outcome{[]Issue{invalidIssue(err.Error())}}
	}
	return Prepared{Fragments: fragments, SignedInfo: info, Timestamp: p.Signed, Algorithm: algorithm}, nil
}

// Digest returns the SignedInfo in base64: the payload of a signing request (EPS-1.3).
func (p Prepared) Digest() string { return base64.StdEncoding.EncodeToString(p.SignedInfo) }

// MarshalJSON returns the Parameters that $prepare answers (EPS-1.2).
func (p Prepared) MarshalJSON() ([]byte, error) {
	type parameter struct {
		Name  string `json:"name"`
		Value string `json:"valueString"`
	}
	return marshal(struct {
		Type      string      `json:"resourceType"`
		Parameter []parameter `json:"parameter"`
	}{"Parameters", []parameter{
		{"digest", p.Digest()},
		{"timestamp", p.Timestamp.Format(TimestampFormat)},
		{"algorithm", p.Algorithm},
	}})
}
