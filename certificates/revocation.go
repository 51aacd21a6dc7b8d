package certificates

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxSources bounds how many lists, and how many responders, of one certificate are asked.
const maxSources = 4

// question asks for one certificate of a chain that holds.
type question struct {
	certificate *x509.Certificate
	issuer      *x509.Certificate // whose key verifies the certificate; nil: it is not configured
	signed      time.Time         // when the signature was made
	allowSHA1   bool
}

// answer is what the sources of a certificate say of it.
type answer struct {
	revoked string   // when and why; empty: no source says so
	good    bool     // a source that speaks for it, and for every reason, says that it is not revoked
	missing []string // why sources say nothing
}

// revoked asks for each certificate of a chain but a self-signed issuer, whose own word would be worth nothing. It
// returns why something could not be checked, where that is accepted.
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

// chainRevoked returns what could not be learnt of a chain.
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
		whose, code := "the card's certificate", Revoked
		if i > 0 {
			whose, code = "the issuer's certificate "+c.Subject.String(), IssuerRevoked
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

// issuerOf finds the certificate above a trusted issuer's, if it is configured.
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

// Uncheckable names trusted issuers whose own certificates say where their revocation can be learnt, but whose
// issuers are not configured, so that nobody could verify the answer.
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

// ask asks every source that a certificate names. Any of them can revoke; one that speaks for every reason clears.
// None at all is an answer too: there is nothing to be checked.
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
		a.missing = append(a.missing, "the certificate of "+q.certificate.Issuer.String()+", which signs its revocation list, is not configured; add it under intermediates")
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

// askList adds what the list at a point says. Its addresses are the same list's, so the first that gives it will do.
func (r *Revocations) askList(ctx context.Context, q question, p point, a *answer) {
	if p.indirect {
		a.missing = append(a.missing, "its revocation list is an indirect one, which is not supported")
		return
	}
	var why string
	for _, url := range p.urls[:min(len(p.urls), maxSources)] {
		l, current, err := r.list(ctx, url, q.issuer)
		switch {
		case l == nil:
			why = err.Error()
		case l.sha1 && !q.allowSHA1:
			why = "it is signed with SHA-1; allow_sha1 would accept that"
		case l.scope.covers(q.certificate, p) != "":
			why = l.scope.covers(q.certificate, p)
		default:
			if found, listed := l.lookup(q.certificate); listed && found.counts(q.signed) {
				a.revoked = found.String()
				return
			}
			switch {
			case !current:
				why = fmt.Sprintf("it should have been renewed at %s: %v", stamp(l.nextUpdate), err)
			case p.partial || l.scope.partial:
				why = "it has revocations for some reasons only"
			default:
				a.good = true
				return
			}
		}
		why = "the revocation list " + printable(url) + ": " + why
	}
	a.missing = append(a.missing, why)
}
