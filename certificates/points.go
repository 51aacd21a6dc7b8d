package certificates

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	wire "golang.org/x/crypto/cryptobyte/asn1"
)

var (
	oidPoints       = asn1.ObjectIdentifier{2, 5, 29, 31} // cRLDistributionPoints
	oidScope        = asn1.ObjectIdentifier{2, 5, 29, 28} // issuingDistributionPoint
	oidDelta        = asn1.ObjectIdentifier{2, 5, 29, 27} // deltaCRLIndicator
	oidNumber       = asn1.ObjectIdentifier{2, 5, 29, 20} // cRLNumber
	oidAuthorityKey = asn1.ObjectIdentifier{2, 5, 29, 35} // authorityKeyIdentifier
)

// point is where a certificate says a revocation list is (RFC 5280 §4.2.1.13).
type point struct {
	names    [][]byte // GeneralNames, DER
	urls     []string // those of them that are http or https
	partial  bool     // the list there has some reasons only
	indirect bool     // another than the certificate's issuer signs the list
}

var errPoints = errors.New("its distribution points cannot be read")

// pointsOf reads the points of a certificate at which something could be fetched. A directory's name alone is none
// of them. The standard library's own reading drops what a point says beside its addresses.
func pointsOf(c *x509.Certificate) ([]point, error) {
	var found []point
	for _, extension := range c.Extensions {
		if !extension.Id.Equal(oidPoints) {
			continue
		}
		der := cryptobyte.String(extension.Value)
		var all cryptobyte.String
		if !der.ReadASN1(&all, wire.SEQUENCE) || !der.Empty() {
			return nil, errPoints
		}
		for !all.Empty() {
			var one cryptobyte.String
			if !all.ReadASN1(&one, wire.SEQUENCE) {
				return nil, errPoints
			}
			p, err := readPoint(one)
			if err != nil {
				return nil, err
			}
			if len(p.urls) > 0 {
				found = append(found, p)
			}
		}
	}
	return found, nil
}

func readPoint(der cryptobyte.String) (point, error) {
	var p point
	var name, reasons, issuer cryptobyte.String
	var named bool
	if !der.ReadOptionalASN1(&name, &named, nested(0)) ||
		!der.ReadOptionalASN1(&reasons, &p.partial, primitive(1)) ||
		!der.ReadOptionalASN1(&issuer, &p.indirect, nested(2)) || !der.Empty() {
		return p, errPoints
	}
	if !named {
		return p, nil
	}
	names, err := readNames(name)
	for _, general := range names {
		p.names = append(p.names, general)
		if url := urlOf(general); url != "" {
			p.urls = append(p.urls, url)
		}
	}
	return p, err
}

// readNames reads a DistributionPointName; one that is relative to an issuer's has no names.
func readNames(der cryptobyte.String) (names [][]byte, err error) {
	var full, relative cryptobyte.String
	var isFull, isRelative bool
	if !der.ReadOptionalASN1(&full, &isFull, nested(0)) || !der.ReadOptionalASN1(&relative, &isRelative, nested(1)) ||
		isFull == isRelative || !der.Empty() {
		return nil, errPoints
	}
	for !full.Empty() {
		var name cryptobyte.String
		var tag wire.Tag
		if !full.ReadAnyASN1Element(&name, &tag) {
			return nil, errPoints
		}
		names = append(names, slices.Clone(name))
	}
	return names, nil
}

// urlOf is the address that a GeneralName is, if it is one of the web's.
func urlOf(general []byte) string {
	der := cryptobyte.String(general)
	var text cryptobyte.String
	if !der.ReadASN1(&text, primitive(6)) {
		return ""
	}
	url := string(text)
	if scheme, _, _ := strings.Cut(url, ":"); !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return ""
	}
	return url
}

// scope is what a list says it covers (RFC 5280 §5.2.5). Without one it covers everything of its issuer's.
type scope struct {
	names          [][]byte
	named          bool // it has a name of its own, which must be one of the point's
	onlyUsers      bool
	onlyCAs        bool
	onlyAttributes bool
	partial        bool // some reasons only
	indirect       bool
}

func readScope(value []byte) (scope, error) {
	var s scope
	der := cryptobyte.String(value)
	var all, name, reasons cryptobyte.String
	if !der.ReadASN1(&all, wire.SEQUENCE) || !der.Empty() ||
		!all.ReadOptionalASN1(&name, &s.named, nested(0)) ||
		!readFlag(&all, &s.onlyUsers, 1) || !readFlag(&all, &s.onlyCAs, 2) ||
		!all.ReadOptionalASN1(&reasons, &s.partial, primitive(3)) ||
		!readFlag(&all, &s.indirect, 4) || !readFlag(&all, &s.onlyAttributes, 5) || !all.Empty() {
		return s, errors.New("what it covers cannot be read")
	}
	if !s.named {
		return s, nil
	}
	var err error
	s.names, err = readNames(name)
	return s, err
}

// readFlag reads an implicitly tagged BOOLEAN that is false where it is missing.
func readFlag(der *cryptobyte.String, into *bool, tag uint8) bool {
	var value cryptobyte.String
	var there bool
	if !der.ReadOptionalASN1(&value, &there, primitive(tag)) {
		return false
	}
	*into = there && len(value) == 1 && value[0] != 0
	return !there || len(value) == 1
}

// covers says why a list does not speak for a certificate that names it at a point, or nothing.
func (s scope) covers(c *x509.Certificate, p point) string {
	switch {
	case s.indirect:
		return "it is an indirect list"
	case s.onlyAttributes, s.onlyCAs && !c.IsCA, s.onlyUsers && c.IsCA:
		return "it covers other certificates only"
	case s.named && !slices.ContainsFunc(s.names, func(name []byte) bool {
		return slices.ContainsFunc(p.names, func(other []byte) bool { return string(name) == string(other) })
	}):
		return "it is the list of another distribution point"
	}
	return ""
}

func primitive(tag uint8) wire.Tag { return wire.Tag(tag).ContextSpecific() }
func nested(tag uint8) wire.Tag    { return primitive(tag).Constructed() }
