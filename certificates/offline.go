package certificates

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/seed-dd2befc3/countersign/crl"
)

// Offline checks certificates with what is at hand: issuers, and revocation lists read before. It fetches nothing. It
// checks only the direct issuer, as the Electronic Prescription Service does.
type Offline struct {
	issuers []*x509.Certificate
	lists   []*list
}

// NewOffline returns an Offline that trusts certificates signed by one of the issuers.
func NewOffline(issuers []*x509.Certificate) *Offline { return &Offline{issuers: issuers} }

// AddList adds a revocation list, in any form that package crl reads, that one of the issuers signed. An old list is accepted: what it lists is
// revoked, and nothing follows from what it does not list.
func (o *Offline) AddList(data []byte, now time.Time) error {
	der, err := crl.DER(data, defaultMaxBytes)
	if err != nil {
		return err
	}
	err = errors.New("no issuer is configured")
	for _, issuer := range o.issuers {
		var l *list
		if l, err = readList(der, issuer, defaultMaxEntries, now); err == nil {
			o.lists = append(o.lists, l)
			return nil
		}
	}
	return err
}

// Faults returns everything that is wrong with a certificate for a signature made at a time: Revoked, IssuerRevoked,
// Expired or NotYetValid, and Untrusted. An empty result means that it is trusted.
func (o *Offline) Faults(_ context.Context, leaf *x509.Certificate, signed time.Time) []Code {
	var faults []Code
	issuer := o.issuerOf(leaf)
	if issuer != nil && o.revoked(leaf, issuer, signed) {
		faults = append(faults, Revoked)
	}
	if issuer != nil {
		if above := o.issuerOf(issuer); above != nil && o.revoked(issuer, above, signed) {
			faults = append(faults, IssuerRevoked)
		}
	}
	switch {
	case signed.Before(leaf.NotBefore):
		faults = append(faults, NotYetValid)
	case signed.After(leaf.NotAfter):
		faults = append(faults, Expired)
	}
	if issuer == nil {
		faults = append(faults, Untrusted)
	}
	return faults
}

func (o *Offline) issuerOf(c *x509.Certificate) *x509.Certificate {
	i := slices.IndexFunc(o.issuers, func(issuer *x509.Certificate) bool { return signedDirectly(c, issuer) })
	if i < 0 {
		return nil
	}
	return o.issuers[i]
}

func (o *Offline) revoked(c, issuer *x509.Certificate, signed time.Time) bool {
	return slices.ContainsFunc(o.lists, func(l *list) bool {
		found, listed := l.lookup(c)
		return listed && bytes.Equal(l.signer.Raw, issuer.Raw) && found.counts(signed)
	})
}
