package smartcard

import (
	"errors"
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// Limits of the protocol. Both ends refuse a job beyond them.
const (
	MaxPayloads = 250     // items of one job (SIG-1.9)
	MaxID       = 1 << 10 // bytes of a payload's id
	MaxBody     = 2 << 20 // bytes of a job as JSON
	maxClient   = 256     // bytes of the requesting client's display name
	maxShort    = 4 << 10 // bytes of an answer that is not a stream: an error or the health
	mediaJob    = "application/json"
	mediaAnswer = "application/x-ndjson"
	pathSign    = "/sign"
	pathHealth  = "/health"
)

// The signature algorithms: RSASSA-PKCS1-v1_5 with SHA-1 and SHA-256, and RSASSA-PSS with SHA-256 and a salt of 32
// bytes. Each signs a payload's own bytes.
const (
	RS1   = "RS1"
	RS256 = "RS256"
	PS256 = "PS256"
)

// Payload is one thing to sign: bytes under an id that is unique within its job.
type Payload struct {
	ID      string `json:"id"`      // 1 to MaxID bytes
	Payload []byte `json:"payload"` // not empty; base64 on the wire
}

// Job is one request to an agent: either all payloads are signed with one card, that of Sub, or none.
type Job struct {
	Job       string    `json:"job"`       // a UUID, for the logs of both ends; it grants nothing
	Sub       string    `json:"sub"`       // the SDS user id of the person who signs
	Client    string    `json:"client"`    // the display name of the requesting client system; may be empty
	Algorithm string    `json:"algorithm"` // RS1, RS256 or PS256
	Payloads  []Payload `json:"payloads"`  // 1 to MaxPayloads
}

var (
	jobShape = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	// No underscore: a card's CN is the user id up to its first underscore, so an underscore would be ambiguous.
	subShape = regexp.MustCompile(`^[0-9A-Za-z.-]{1,64}$`)
)

// Validate says what is wrong with the job, without repeating its values.
func (j Job) Validate() error {
	switch {
	case !jobShape.MatchString(j.Job):
		return errors.New(`"job" must be a UUID`)
	case !subShape.MatchString(j.Sub):
		return errors.New(`"sub" must be 1 to 64 letters, digits, dots or hyphens`)
	case len(j.Client) > maxClient || !printable(j.Client):
		return fmt.Errorf(`"client" must be printable text of at most %d bytes`, maxClient)
	case j.Algorithm != RS1 && j.Algorithm != RS256 && j.Algorithm != PS256:
		return fmt.Errorf(`"algorithm" must be %s, %s or %s`, RS1, RS256, PS256)
	case len(j.Payloads) == 0 || len(j.Payloads) > MaxPayloads:
		return fmt.Errorf(`"payloads" must hold 1 to %d items`, MaxPayloads)
	}
	seen := make(map[string]bool, len(j.Payloads))
	for i, p := range j.Payloads {
		switch {
		case p.ID == "" || len(p.ID) > MaxID || !utf8.ValidString(p.ID):
			return fmt.Errorf(`"payloads[%d].id" must be 1 to %d bytes of UTF-8`, i, MaxID)
		case seen[p.ID]:
			return fmt.Errorf(`"payloads[%d].id" is a duplicate`, i)
		case len(p.Payload) == 0:
			return fmt.Errorf(`"payloads[%d].payload" is empty`, i)
		}
		seen[p.ID] = true
	}
	return nil
}

// parseJob parses a request body strictly: no unknown or duplicate members, nothing after it.
func parseJob(body []byte) (Job, error) {
	var job Job
	if err := unmarshal(body, &job); err != nil {
		return Job{}, errors.New("the body is not a job in JSON: it must have the members job, sub, client, algorithm and payloads, each once, and no others")
	}
	return job, job.Validate()
}

// unmarshal parses everything the other end sends. Unknown, duplicate and case-folded member names and invalid UTF-8
// are errors, so no value can nest deeper than its type.
func unmarshal(data []byte, into any) error {
	return json.Unmarshal(data, into, json.RejectUnknownMembers(true))
}

func printable(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
