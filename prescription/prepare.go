package prescription

import (
	"encoding/base64"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

// TimestampFormat is how $prepare writes the moment that is signed.
const TimestampFormat = "2006-01-02T15:04:05-07:00"

// Prepared is a prescription ready to be signed.
type Prepared struct {
	Fragments  []byte
	SignedInfo []byte    // canonical: the bytes that are signed
	Timestamp  time.Time // goes into the signature's when
	Algorithm  string    // client.RS1 or client.RS256
}

// Prepare does what EPS's $prepare does: it checks a bundle, translates it, and makes the SignedInfo over its
// fragments. The outcome says why it did not.
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

// Digest is the SignedInfo in base64: the payload of a signing request.
func (p Prepared) Digest() string { return base64.StdEncoding.EncodeToString(p.SignedInfo) }

// MarshalJSON writes the Parameters that $prepare answers with.
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
