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

// point is one location of a revocation list in a certificate (RFC 5280 §4.2.1.13).
type point struct {
	names    [][]byte // GeneralNames, DER
	urls     []string // the http and https URLs among them
	partial  bool     // the list there covers only some reasons
	indirect bool     // the list is signed by another issuer
}

var errPoints = errors.New("malformed distribution points")

// pointsOf returns the points of a certificate from which something could be fetched, which excludes directory names. The
// standard library keeps only the URLs of a point.
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

// readNames reads a DistributionPointName. One relative to the issuer's name has no names.
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

// urlOf returns the URL in a GeneralName if it is http or https, otherwise "".
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

// scope is what a list covers (RFC 5280 §5.2.5). Without it a list covers everything of its issuer.
type scope struct {
	names          [][]byte
	named          bool // its own name, which must match one of the point's
	onlyUsers      bool
	onlyCAs        bool
	onlyAttributes bool
	partial        bool // only some reasons
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
		return s, errors.New("malformed issuingDistributionPoint")
	}
	if !s.named {
		return s, nil
	}
	var err error
	s.names, err = readNames(name)
	return s, err
}

// readFlag reads an implicitly tagged BOOLEAN that defaults to false.
func readFlag(der *cryptobyte.String, into *bool, tag uint8) bool {
	var value cryptobyte.String
	var there bool
	if !der.ReadOptionalASN1(&value, &there, primitive(tag)) {
		return false
	}
	*into = there && len(value) == 1 && value[0] != 0
	return !there || len(value) == 1
}

// covers returns why a list does not apply to a certificate that names it at a point, or "".
func (s scope) covers(c *x509.Certificate, p point) string {
	switch {
	case s.indirect:
		return "list is an indirect one"
	case s.onlyAttributes, s.onlyCAs && !c.IsCA, s.onlyUsers && c.IsCA:
		return "list covers other certificates only"
	case s.named && !slices.ContainsFunc(s.names, func(name []byte) bool {
		return slices.ContainsFunc(p.names, func(other []byte) bool { return string(name) == string(other) })
	}):
		return "list is that of another distribution point"
	}
	return ""
}

func primitive(tag uint8) wire.Tag { return wire.Tag(tag).ContextSpecific() }
func nested(tag uint8) wire.Tag    { return primitive(tag).Constructed() }
