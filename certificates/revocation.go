package certificates

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxSources bounds the lists, and the responders, asked for one certificate.
const maxSources = 4

// question is about one certificate of a verified chain.
type question struct {
	certificate *x509.Certificate
	issuer      *x509.Certificate // whose key verifies the certificate; nil: not configured
	signed      time.Time         // when the signature was made
	allowSHA1   bool
}

// answer is what the sources of a certificate say about it.
type answer struct {
	revoked string   // when and why; empty: no source says so
	good    bool     // a source that covers it, for every reason, says that it is not revoked
	missing []string // why sources gave no answer
}

// revoked checks each certificate of a chain except a self-signed issuer, whose own statement would prove nothing. It
// returns why something could not be checked, if that is accepted.
func (p Policy) revoked(ctx context.Context, chains [][]*x509.Certificate, at time.Time) (unchecked string, refused *Refusal) {
	if p.Revocations == nil {
		return "", nil
	}
	var missing []string
	for _, chain := range chains {
		more, refused := p.chainRevoked(ctx, chain, at)
		if refused != nil {
			return "", refused
		}
		missing = append(missing, more...)
	}
	slices.Sort(missing)
	unchecked = strings.Join(slices.Compact(missing), "; ")
	if unchecked != "" && p.RefuseUnchecked {
		return "", refuse(Unchecked, "%s", unchecked)
	}
	return unchecked, nil
}

// chainRevoked returns what could not be determined for a chain.
func (p Policy) chainRevoked(ctx context.Context, chain []*x509.Certificate, at time.Time) (missing []string, refused *Refusal) {
	for i, c := range chain {
		q := question{certificate: c, signed: at, allowSHA1: p.AllowSHA1}
		switch {
		case i+1 < len(chain):
			q.issuer = chain[i+1]
		case selfSigned(c):
			continue
		default:
			q.issuer = p.issuerOf(c)
		}
		whose, code := "card's certificate", Revoked
		if i > 0 {
			whose, code = "issuer's certificate "+c.Subject.String(), IssuerRevoked
		}
		switch found := p.Revocations.ask(ctx, q); {
		case found.revoked != "":
			return nil, refuse(code, "%s was %s", whose, found.revoked)
		case !found.good && len(found.missing) > 0:
			missing = append(missing, whose+": "+strings.Join(found.missing, "; "))
		}
	}
	return missing, nil
}

// issuerOf finds the issuer of a trusted issuer's certificate, if it is configured.
func (p Policy) issuerOf(c *x509.Certificate) *x509.Certificate {
	for _, above := range slices.Concat(p.Intermediates, p.Issuers) {
		if !above.Equal(c) && signedDirectly(c, above) {
			return above
		}
	}
	return nil
}

func selfSigned(c *x509.Certificate) bool {
	return string(c.RawIssuer) == string(c.RawSubject)
}

// Uncheckable returns trusted issuers whose own certificates name a source of revocations, but whose issuers are not
// configured, so that the source's answer cannot be verified.
func (p Policy) Uncheckable() []*x509.Certificate {
	var found []*x509.Certificate
	for _, c := range p.Issuers {
		points, err := pointsOf(c)
		if !selfSigned(c) && (err != nil || len(points) > 0 || len(c.OCSPServer) > 0) && p.issuerOf(c) == nil {
			found = append(found, c)
		}
	}
	return found
}

// ask asks every source that a certificate names. Any of them can revoke; one that covers every reason can clear. If
// there is none, there is nothing to check.
func (r *Revocations) ask(ctx context.Context, q question) answer {
	var a answer
	points, err := pointsOf(q.certificate)
	if err != nil {
		a.missing = append(a.missing, err.Error())
	}
	responders := q.certificate.OCSPServer
	if r.NoOCSP {
		responders = nil
	}
	if len(points) == 0 && len(responders) == 0 {
		return a
	}
	if q.issuer == nil {
		a.missing = append(a.missing, "the certificate of "+q.certificate.Issuer.String()+", which signs its revocation list, is not configured: add it to intermediates")
		return a
	}
	for _, p := range points[:min(len(points), maxSources)] {
		r.askList(ctx, q, p, &a)
	}
	if a.revoked == "" {
		r.askResponders(ctx, q, responders, len(points) > 0, &a)
	}
	return a
}

// askList adds what the list at a point says. All its addresses are of one list, so the first that works is enough.
func (r *Revocations) askList(ctx context.Context, q question, p point, a *answer) {
	if p.indirect {
		a.missing = append(a.missing, "revocation list is an indirect one, which is not supported")
		return
	}
	var why string
	for _, url := range p.urls[:min(len(p.urls), maxSources)] {
		l, current, err := r.list(ctx, url, q.issuer)
		switch {
		case l == nil:
			why = err.Error()
		case l.sha1 && !q.allowSHA1:
			why = "list is signed with SHA-1: set allow_sha1 to accept that"
		case l.scope.covers(q.certificate, p) != "":
			why = l.scope.covers(q.certificate, p)
		default:
			if found, listed := l.lookup(q.certificate); listed && found.counts(q.signed) {
				a.revoked = found.String()
				return
			}
			switch {
			case !current:
				why = fmt.Sprintf("list was due for renewal at %s: %v", stamp(l.nextUpdate), err)
			case p.partial || l.scope.partial:
				why = "list covers only some reasons"
			default:
				a.good = true
				return
			}
		}
		why = "revocation list " + printable(url) + ": " + why
	}
	a.missing = append(a.missing, why)
}
