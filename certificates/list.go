package certificates

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	wire "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/seed-dd2befc3/countersign/crl"
)

// Revocation reasons (RFC 5280 §5.3.1) with rules of their own.
const (
	reasonKeyCompromise = 1
	reasonCACompromise  = 2
	reasonRemove        = 8 // in delta lists only
	reasonAACompromise  = 10
)

// reasonNames are the names shown to operators.
var reasonNames = map[int]string{
	0: "unspecified", reasonKeyCompromise: "keyCompromise", reasonCACompromise: "cACompromise", 3: "affiliationChanged",
	4: "superseded", 5: "cessationOfOperation", 6: "certificateHold", 9: "privilegeWithdrawn", reasonAACompromise: "aACompromise",
}

// revocation is when and why a certificate was revoked.
type revocation struct {
	at     time.Time
	reason int
}

// counts reports whether it revokes a certificate for a signature made at a time (SIG-5.7).
func (r revocation) counts(signed time.Time) bool {
	switch r.reason {
	case reasonKeyCompromise, reasonCACompromise, reasonAACompromise:
		return true
	}
	return !r.at.After(signed)
}

func (r revocation) String() string {
	name, known := reasonNames[r.reason]
	if !known {
		name = fmt.Sprintf("reason %d", r.reason)
	}
	return fmt.Sprintf("revoked %s, %s", stamp(r.at), name)
}

// list is a revocation list with a verified signature. It is immutable.
type list struct {
	signer     *x509.Certificate // the certificate that signed it
	sha1       bool              // signed with SHA-1
	number     *big.Int          // nil: none
	thisUpdate time.Time
	nextUpdate time.Time
	scope      scope
	revoked    map[string]revocation // by the bytes of the serial number
}

// maxAhead is how far a signer's clock may be ahead of ours.
const maxAhead = 5 * time.Minute

// errDelta is the error for a list that contains only the changes to another.
var errDelta = errors.New("delta list, which is ignored")

// readList parses and verifies a complete list of an issuer, of at most maxEntries entries. It rejects what it does not
// understand: such a list proves nothing.
func readList(der []byte, signer *x509.Certificate, maxEntries int, now time.Time) (*list, error) {
	if err := countEntries(der, maxEntries); err != nil {
		return nil, err
	}
	read, err := crl.Parse(der)
	if err != nil {
		return nil, err
	}
	l := &list{
		signer: signer, sha1: isSHA1(read.SignatureAlgorithm), number: read.Number,
		thisUpdate: read.ThisUpdate, nextUpdate: read.NextUpdate, revoked: make(map[string]revocation, len(read.RevokedCertificateEntries)),
	}
	if err := l.signedBy(read); err != nil {
		return nil, err
	}
	switch {
	case l.nextUpdate.IsZero():
		return nil, errors.New("list has no nextUpdate")
	case l.thisUpdate.After(now.Add(maxAhead)):
		return nil, fmt.Errorf("thisUpdate of the list, %s, is in the future", stamp(l.thisUpdate))
	}
	if err := l.readExtensions(read.Extensions); err != nil {
		return nil, err
	}
	for _, entry := range read.RevokedCertificateEntries {
		if err := onlyKnown(entry.Extensions); err != nil {
			return nil, err
		}
		if entry.ReasonCode != reasonRemove {
			l.revoked[string(entry.SerialNumber.Bytes())] = revocation{entry.RevocationTime, entry.ReasonCode}
		}
	}
	return l, nil
}

// signedBy verifies that the signer, and no other certificate of that name, signed the list.
func (l *list) signedBy(read *x509.RevocationList) error {
	switch {
	case !bytes.Equal(read.RawIssuer, l.signer.RawSubject):
		return errors.New("list is of another issuer")
	case len(read.AuthorityKeyId) > 0 && len(l.signer.SubjectKeyId) > 0 && !bytes.Equal(read.AuthorityKeyId, l.signer.SubjectKeyId):
		return errors.New("list is of another key of its issuer")
	case l.sha1 && noSHA1():
		return errors.New("list is signed with SHA-1, which this FIPS-only process refuses")
	case read.CheckSignatureFrom(l.signer) != nil:
		return errors.New("signature of the list is not its issuer's")
	}
	return nil
}

func (l *list) readExtensions(extensions []pkix.Extension) error {
	for _, extension := range extensions {
		switch {
		case extension.Id.Equal(oidDelta):
			return errDelta
		case extension.Id.Equal(oidScope):
			var err error
			if l.scope, err = readScope(extension.Value); err != nil {
				return err
			}
		case extension.Critical && !extension.Id.Equal(oidNumber) && !extension.Id.Equal(oidAuthorityKey):
			return errors.New("list has an unknown critical extension")
		}
	}
	return nil
}

// onlyKnown rejects critical extensions of an entry: only the reason is understood, and it is not critical.
func onlyKnown(extensions []pkix.Extension) error {
	for _, extension := range extensions {
		if extension.Critical && !extension.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 21}) {
			return errors.New("an entry has an unknown critical extension, as in indirect lists")
		}
	}
	return nil
}

// lookup finds a certificate of the signer.
func (l *list) lookup(c *x509.Certificate) (revocation, bool) {
	found, there := l.revoked[string(c.SerialNumber.Bytes())]
	return found, there
}

// olderThan reports whether a list was made before another.
func (l *list) olderThan(other *list) bool {
	if l.number != nil && other.number != nil {
		return l.number.Cmp(other.number) < 0
	}
	return l.thisUpdate.Before(other.thisUpdate)
}

// countEntries counts a list's entries without keeping them, so that a list with too many is rejected before its entries
// are parsed.
func countEntries(der []byte, most int) error {
	input := cryptobyte.String(der)
	var whole, tbs, entries cryptobyte.String
	var there bool
	notOne := errors.New("not a revocation list in DER")
	if !input.ReadASN1(&whole, wire.SEQUENCE) || !input.Empty() || !whole.ReadASN1(&tbs, wire.SEQUENCE) ||
		!tbs.SkipOptionalASN1(wire.INTEGER) || !tbs.SkipASN1(wire.SEQUENCE) || !tbs.SkipASN1(wire.SEQUENCE) {
		return notOne
	}
	for tbs.PeekASN1Tag(wire.UTCTime) || tbs.PeekASN1Tag(wire.GeneralizedTime) { // thisUpdate, nextUpdate
		var moment cryptobyte.String
		var tag wire.Tag
		if !tbs.ReadAnyASN1(&moment, &tag) {
			return notOne
		}
	}
	if !tbs.ReadOptionalASN1(&entries, &there, wire.SEQUENCE) {
		return notOne
	}
	for n := 0; !entries.Empty(); n++ {
		if n == most {
			return fmt.Errorf("list has more than %d entries", most)
		}
		if !entries.SkipASN1(wire.SEQUENCE) {
			return notOne
		}
	}
	return nil
}
