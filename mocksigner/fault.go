package mocksigner

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The faults, by name.
const (
	NoCard             = "no_card"             // the first item fails: no card in the reader
	WrongPIN           = "wrong_pin"           // the first item fails: wrong PIN
	Cancelled          = "cancelled"           // the first item fails: cancelled by the person
	Slow               = "slow"                // a delay before each item; goes together with any other fault
	Hang               = "hang"                // certificate, some items, then silence
	Reset              = "reset"               // certificate, some items, then the connection breaks
	Garbage            = "garbage"             // certificate, some items, then a line that is not JSON
	Truncated          = "truncated"           // certificate, some items, then a clean end without done
	WrongSignature     = "wrong_signature"     // one signature has a bit flipped
	Swapped            = "swapped"             // two items have each other's signature; a single one has another text's
	MissingItem        = "missing_item"        // one item never comes, and done counts as if it had
	ExtraItem          = "extra_item"          // one item more than was asked for
	DuplicateItem      = "duplicate_item"      // one item comes twice
	OtherUser          = "other_user"          // the card of another user
	ExpiredCertificate = "expired_certificate" // a card that has expired
	RevokedCertificate = "revoked_certificate" // a card that the mock CA's CRL lists
	UntrustedChain     = "untrusted_chain"     // a card of another CA with the mock CA's name and key id
)

var names = []string{
	NoCard, WrongPIN, Cancelled, Slow, Hang, Reset, Garbage, Truncated, WrongSignature, Swapped, MissingItem,
	ExtraItem, DuplicateItem, OtherUser, ExpiredCertificate, RevokedCertificate, UntrustedChain,
}

// Names returns the names of all faults.
func Names() []string { return slices.Clone(names) }

// defaultSlow is how long slow waits where no delay is given.
const defaultSlow = time.Second

// Fault is one fault and how often it happens.
type Fault struct {
	Name  string        // one of Names
	Rate  float64       // the share of jobs that have it: 0 none, 1 all
	Delay time.Duration // for slow: the wait before each item; zero means 1 second
	// User is a pattern of user ids, such as 5550*7: whoever asks chooses the fault by whom it asks to sign. Empty:
	// every user's jobs have it.
	User string `json:"User,omitempty"`
}

// ParseFault reads a fault as it stands in a configuration: its name, then, in any order, a rate (0.1 or 10%;
// default: always), for slow a delay (250ms; default 1s), and user with a pattern of user ids (default: every user).
func ParseFault(words ...string) (Fault, error) {
	if len(words) == 0 {
		return Fault{}, errors.New("a fault needs a name: one of " + strings.Join(names, ", "))
	}
	f := Fault{Name: words[0], Rate: 1}
	var haveRate, haveDelay bool
	for i := 1; i < len(words); i++ {
		word := words[i]
		if word == "user" && f.User == "" && i+1 < len(words) {
			i++
			f.User = words[i]
		} else if rate, err := parseRate(word); err == nil && !haveRate {
			f.Rate, haveRate = rate, true
		} else if delay, err := time.ParseDuration(word); err == nil && !haveDelay {
			f.Delay, haveDelay = delay, true
		} else {
			return Fault{}, fmt.Errorf("fault %s: %q is neither its rate (0.1 or 10%%) nor a delay (250ms) nor user with a pattern, or there are two of one kind", f.Name, word)
		}
	}
	return f, f.validate()
}

func parseRate(word string) (float64, error) {
	if percent, ok := strings.CutSuffix(word, "%"); ok {
		rate, err := strconv.ParseFloat(percent, 64)
		return rate / 100, err
	}
	return strconv.ParseFloat(word, 64)
}

func (f Fault) validate() error {
	switch {
	case !slices.Contains(names, f.Name):
		return fmt.Errorf("fault %q is not known: use one of %s", f.Name, strings.Join(names, ", "))
	case !(f.Rate >= 0 && f.Rate <= 1): // so that NaN fails
		return fmt.Errorf("fault %s: the rate must be from 0 to 1, or 0%% to 100%%", f.Name)
	case !f.isPattern():
		return fmt.Errorf("fault %s: user %q is not a pattern such as 5550*7", f.Name, f.User)
	case f.Delay < 0 || f.Delay > time.Hour:
		return fmt.Errorf("fault %s: the delay must be from 0 to 1h", f.Name)
	case f.Delay != 0 && f.Name != Slow:
		return fmt.Errorf("fault %s takes no delay: only %s does", f.Name, Slow)
	}
	return nil
}

func (f Fault) isPattern() bool {
	_, err := path.Match(f.User, "")
	return err == nil
}

// CheckFaults refuses faults that are none, and those that are there twice for the same users.
func CheckFaults(faults []Fault) error {
	seen := make(map[string]bool, len(faults))
	for _, f := range faults {
		if err := f.validate(); err != nil {
			return err
		}
		if seen[f.Name+" "+f.User] {
			return fmt.Errorf("fault %s is given twice for the same users", f.Name)
		}
		seen[f.Name+" "+f.User] = true
	}
	return nil
}

// concerns tells whether the fault may happen to a user's jobs.
func (f Fault) concerns(user string) bool {
	matches, err := path.Match(f.User, user)
	return f.User == "" || err == nil && matches
}

// hits draws whether the fault happens.
func (f Fault) hits(random io.Reader) (bool, error) {
	switch f.Rate {
	case 0:
		return false, nil
	case 1:
		return true, nil
	}
	var raw [8]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return false, err
	}
	const whole = 1 << 53 // every multiple of 1/2⁵³ below 1 is a float64
	return float64(binary.BigEndian.Uint64(raw[:])%whole)/whole < f.Rate, nil
}
