package certificates

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ocsp"

	"github.com/seed-dd2befc3/countersign/outbound"
)

// The limits of requests to responders (RFC 6960).
const (
	maxAnswer     = 64 << 10        // bytes
	askWithin     = 5 * time.Second // per responder
	answerLife    = time.Hour       // an answer is cached no longer, whatever it says
	responderRest = 30 * time.Second
	maxAnswers    = 4096
)

// answers are cached answers of responders, and the responders that are not asked for a while after a failure.
type answers struct {
	mu      sync.Mutex
	known   map[[32]byte]said
	resting map[string]rest // by address
}

// said is one answer with its expiry.
type said struct {
	revocation *revocation // nil: good
	sha1       bool
	until      time.Time
}

type rest struct {
	until time.Time
	err   error
}

func (a *answers) init() { a.known, a.resting = map[[32]byte]said{}, map[string]rest{} }

// askResponders adds what the responders say; the first answer counts. If there is another source, responders whose host
// may not be contacted are skipped.
func (r *Revocations) askResponders(ctx context.Context, q question, addresses []string, others bool, a *answer) {
	for _, address := range addresses[:min(len(addresses), maxSources)] {
		if _, err := r.address(address); err != nil && others {
			continue
		}
		found, err := r.askResponder(ctx, q, address)
		switch {
		case err == nil && found.sha1 && !q.allowSHA1:
			err = errors.New("answer is signed with SHA-1: set allow_sha1 to accept that")
		case err == nil && found.revocation != nil && found.revocation.counts(q.signed):
			a.revoked = found.revocation.String()
			return
		case err == nil:
			a.good = true
			return
		}
		a.missing = append(a.missing, "the responder "+printable(address)+": "+err.Error())
	}
}

// askResponder returns a responder's answer, from the cache while it is valid.
func (r *Revocations) askResponder(ctx context.Context, q question, address string) (said, error) {
	sum := sha256.Sum256(slices.Concat([]byte(address), []byte{0}, q.issuer.RawSubjectPublicKeyInfo, q.certificate.Raw))
	now := r.Now()
	r.ocsp.mu.Lock()
	known, isKnown := r.ocsp.known[sum]
	resting, rests := r.ocsp.resting[address]
	r.ocsp.mu.Unlock()
	switch {
	case isKnown && now.Before(known.until):
		return known, nil
	case rests && now.Before(resting.until):
		return said{}, resting.err
	}
	found, err := r.question(ctx, q, address)
	r.mu.Lock()
	if tally := r.tallyOf(address); err != nil {
		tally.Failed++
	} else {
		tally.Fetched++
	}
	r.mu.Unlock()
	r.ocsp.mu.Lock()
	defer r.ocsp.mu.Unlock()
	switch {
	case err == nil:
		if len(r.ocsp.known) >= maxAnswers {
			clear(r.ocsp.known)
		}
		r.ocsp.known[sum] = found
		delete(r.ocsp.resting, address)
	case !errors.Is(err, errUnknown) && ctx.Err() == nil:
		if len(r.ocsp.resting) >= maxAnswers {
			clear(r.ocsp.resting)
		}
		r.ocsp.resting[address] = rest{now.Add(responderRest), err}
	}
	return found, err
}

var errUnknown = errors.New("responder does not know the certificate")

// question sends one request to a responder.
func (r *Revocations) question(ctx context.Context, q question, address string) (said, error) {
	u, err := r.address(address)
	if err != nil {
		return said{}, err
	}
	options := &ocsp.RequestOptions{Hash: crypto.SHA1} // known to every responder; protects nothing here
	if noSHA1() {
		options.Hash = crypto.SHA256
	}
	body, err := ocsp.CreateRequest(q.certificate, q.issuer, options)
	if err != nil {
		return said{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(body))
	if err != nil {
		return said{}, err
	}
	request.Header.Set("Content-Type", "application/ocsp-request")
	request.Header.Set("Accept", "application/ocsp-response")
	response, err := r.client.Do(request)
	if err != nil {
		return said{}, err
	}
	defer func() { _ = response.Body.Close() }() // only read from
	der, err := outbound.ReadBody(response, maxAnswer)
	if err != nil {
		return said{}, err
	}
	if response.StatusCode != http.StatusOK {
		return said{}, fmt.Errorf("got status %d, want 200", response.StatusCode)
	}
	return r.readAnswer(der, q)
}

// readAnswer accepts a current answer that is signed by the issuer or by a responder that the issuer delegated.
func (r *Revocations) readAnswer(der []byte, q question) (said, error) {
	read, err := ocsp.ParseResponseForCert(der, q.certificate, nil) // the signer is checked below, and more strictly
	if err != nil {
		var refused ocsp.ResponseError
		if errors.As(err, &refused) {
			return said{}, fmt.Errorf("responder refuses to answer: %s", refused.Status)
		}
		return said{}, errors.New("answer is not about this certificate")
	}
	now := r.Now()
	sha1, err := signedAnswer(read, q.issuer, now)
	if err != nil {
		return said{}, err
	}
	until := read.ThisUpdate.Add(answerLife)
	if !read.NextUpdate.IsZero() {
		until = earliest(read.NextUpdate, now.Add(answerLife))
	}
	switch {
	case read.ThisUpdate.After(now.Add(maxAhead)):
		return said{}, errors.New("answer is from the future")
	case !now.Before(until):
		return said{}, errors.New("answer is too old")
	case read.Status == ocsp.Unknown:
		return said{}, errUnknown
	case read.Status == ocsp.Revoked:
		return said{revocation: &revocation{read.RevokedAt, read.RevocationReason}, sha1: sha1, until: until}, nil
	}
	return said{sha1: sha1, until: until}, nil
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// signedAnswer verifies who signed an answer: the issuer, or a certificate that it issued for just that. Any other
// certificate of the issuer, such as a card's, is rejected (RFC 6960 §4.2.2.2).
func signedAnswer(read *ocsp.Response, issuer *x509.Certificate, now time.Time) (sha1 bool, err error) {
	sha1 = isSHA1(read.SignatureAlgorithm)
	signer := issuer
	if by := read.Certificate; by != nil && !bytes.Equal(by.RawSubjectPublicKeyInfo, issuer.RawSubjectPublicKeyInfo) {
		sha1 = sha1 || isSHA1(by.SignatureAlgorithm)
		switch {
		case !slices.Contains(by.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
			return sha1, errors.New("answer is signed with a certificate that is not for OCSP signing")
		case now.Before(by.NotBefore) || now.After(by.NotAfter):
			return sha1, errors.New("certificate that signed the answer is not valid now")
		case sha1 && noSHA1() || !signedDirectly(by, issuer):
			return sha1, errors.New("answer is signed by a responder that the issuer did not delegate")
		}
		signer = by
	}
	if sha1 && noSHA1() || read.CheckSignatureFrom(signer) != nil {
		return sha1, errors.New("signature of the answer is invalid")
	}
	return sha1, nil
}
