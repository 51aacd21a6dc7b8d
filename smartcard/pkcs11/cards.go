package pkcs11

import (
	"bytes"
	"cmp"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pipe"
)

// Reader is a reader as the agent sees it, with its card.
type Reader struct {
	Name    string `json:"reader"`
	Card    *Card  `json:"card,omitempty"`    // nil: empty, or unreadable
	Trouble string `json:"trouble,omitempty"` // why the card cannot be read
}

// Card is a card in a reader.
type Card struct {
	Label        string        `json:"label"`
	Manufacturer string        `json:"manufacturer"`
	Model        string        `json:"model"`
	Serial       string        `json:"serial"`
	Algorithms   []string      `json:"algorithms"` // it has mechanisms for
	PINPad       bool          `json:"pin_pad"`    // the PIN is entered at the reader
	Warnings     []string      `json:"warnings"`   // about the PIN
	Against      []string      `json:"against"`    // why it cannot sign at all; empty: it can
	Certificates []Certificate `json:"certificates"`
	slot         uint64
	pin          pipe.PIN
}

// Certificate is a certificate on a card, and whether it can be used for signatures.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"` // hexadecimal
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Bits      int       `json:"bits"`     // of an RSA key; 0: another kind of key
	User      string    `json:"user"`     // the user it signs for: the common name up to the first underscore
	Against   []string  `json:"against"`  // why it cannot sign; empty: it can
	Warnings  []string  `json:"warnings"` // what a gateway may object to
	der       []byte
	promises  bool // its key usage is nonRepudiation, which is meant for signatures
}

// readers judges a child's listing.
func readers(listing pipe.Listing, now time.Time) []Reader {
	found := make([]Reader, 0, len(listing.Slots))
	for _, slot := range listing.Slots {
		r := Reader{Name: slot.Reader, Trouble: slot.Trouble}
		if c := slot.Card; c != nil {
			r.Card = &Card{
				Label: c.Label, Manufacturer: c.Manufacturer, Model: c.Model, Serial: c.Serial,
				Algorithms: c.Algorithms, PINPad: c.PIN.Pad, Warnings: []string{}, Against: []string{},
				Certificates: []Certificate{}, slot: slot.ID, pin: c.PIN,
			}
			r.Card.judge()
			for _, certificate := range c.Certificates {
				r.Card.Certificates = append(r.Card.Certificates, judge(certificate.DER, now))
			}
		}
		found = append(found, r)
	}
	return found
}

// judge finds what keeps the card itself from signing.
func (c *Card) judge() {
	switch {
	case c.pin.Locked:
		c.Against = append(c.Against, "the PIN is locked: the card's issuer can unlock it")
	case c.pin.MustAlter:
		c.Against = append(c.Against, "the card demands a new PIN: change it with the card's own software")
	case c.pin.Needed && !c.pin.Set:
		c.Against = append(c.Against, "the card has no PIN yet: set one with the card's own software")
	case c.pin.FinalTry:
		c.Warnings = append(c.Warnings, "one more wrong PIN locks the card")
	case c.pin.Low:
		c.Warnings = append(c.Warnings, "a wrong PIN was entered since the last correct one")
	}
	if len(c.Algorithms) == 0 {
		c.Against = append(c.Against, "the card has no mechanism for RSA signatures")
	}
}

// judge finds what keeps a certificate from being used for signatures, as far as the card can tell. The gateway
// checks its issuer and revocation.
func judge(der []byte, now time.Time) Certificate {
	c := Certificate{der: der, Against: []string{}, Warnings: []string{}}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		c.Against = append(c.Against, "not a readable X.509 certificate")
		return c
	}
	c.Subject, c.Issuer, c.Serial = leaf.Subject.String(), leaf.Issuer.String(), fmt.Sprintf("%X", leaf.SerialNumber)
	c.NotBefore, c.NotAfter = leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
	c.User, _, _ = strings.Cut(leaf.Subject.CommonName, "_")
	c.promises = leaf.KeyUsage&x509.KeyUsageContentCommitment != 0
	key, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	if isRSA {
		c.Bits = key.N.BitLen()
	}
	const signs = x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature
	for _, objection := range []struct {
		holds bool
		text  string
	}{
		{!isRSA, "the key is not RSA"},
		{leaf.IsCA, "the certificate is an authority's"},
		{leaf.KeyUsage != 0 && leaf.KeyUsage&signs == 0, "the certificate is not for signing: its key usage has neither nonRepudiation nor digitalSignature"},
		{now.Before(leaf.NotBefore), "the certificate is not valid before " + leaf.NotBefore.UTC().Format(time.DateOnly)},
		{now.After(leaf.NotAfter), "the certificate expired on " + leaf.NotAfter.UTC().Format(time.DateOnly)},
		{c.User == "", "the certificate has no common name"},
	} {
		if objection.holds {
			c.Against = append(c.Against, objection.text)
		}
	}
	if isRSA && c.Bits < 2048 {
		c.Warnings = append(c.Warnings, fmt.Sprintf("the key has %d bits; a gateway in production accepts that only if configured to", c.Bits))
	}
	return c
}

// choice is the card and certificate that sign a job.
type choice struct {
	reader      string
	card        *Card
	certificate *Certificate
}

// choose finds the card that signs for sub. Among several usable certificates, those made for signatures come first,
// then the newest. none reports that no card is sub's.
func choose(all []Reader, sub, algorithm string) (chosen choice, none bool, against string) {
	var able []choice
	none = true
	for _, r := range all {
		if r.Card == nil {
			continue
		}
		for i := range r.Card.Certificates {
			certificate := &r.Card.Certificates[i]
			if certificate.User != sub {
				continue
			}
			none = false
			switch {
			case len(r.Card.Against) > 0:
				against = cmp.Or(against, "the card: "+r.Card.Against[0])
			case len(certificate.Against) > 0:
				against = cmp.Or(against, "its certificate: "+certificate.Against[0])
			case !slices.Contains(r.Card.Algorithms, algorithm):
				against = cmp.Or(against, "the card has no mechanism for "+algorithm)
			default:
				able = append(able, choice{r.Name, r.Card, certificate})
			}
		}
	}
	if len(able) == 0 {
		return choice{}, none, against
	}
	return slices.MinFunc(able, func(a, b choice) int {
		return cmp.Or(
			compareBool(b.certificate.promises, a.certificate.promises),
			b.certificate.NotBefore.Compare(a.certificate.NotBefore),
			bytes.Compare(a.certificate.der, b.certificate.der),
		)
	}), false, ""
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
