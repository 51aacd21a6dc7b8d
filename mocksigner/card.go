package mocksigner

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"io"
	"strconv"
	"strings"
	"time"
)

// A card's validity, and how many cards are cached.
const (
	cardLife     = 365 * 24 * time.Hour
	cardBackdate = 24 * time.Hour
	renewal      = cardLife / 2
	maxCards     = 1024
)

// cardKind says which CA issued a card, and what is wrong with it.
type cardKind int

const (
	sound cardKind = iota
	expired
	revoked
	untrusted
)

// card returns the certificate of sub's card in DER. Cards are cached for a while, so that a user's card stays the
// same from job to job.
func (m *Mock) card(sub string, kind cardKind, key *rsa.PublicKey) ([]byte, error) {
	id := cardID{sub, kind}
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.cards[id]; ok && now.Before(c.renew) {
		return c.der, nil
	}
	issuer := m.ca
	if kind == untrusted {
		if m.impostor == nil {
			impostor, err := newCA(m.ca.cert.Subject, m.ca.cert.SubjectKeyId, now, m.random)
			if err != nil {
				return nil, err
			}
			m.impostor = impostor
		}
		issuer = m.impostor
	}
	der, err := issuer.issue(sub, kind, key, m.crlURL, now, m.random)
	if err != nil {
		return nil, err
	}
	if len(m.cards) >= maxCards {
		clear(m.cards)
	}
	m.cards[id] = issued{der: der, renew: now.Add(renewal)}
	return der, nil
}

type cardID struct {
	sub  string
	kind cardKind
}

// issued is a cached card.
type issued struct {
	der   []byte
	renew time.Time
}

// issue makes a card's certificate.
func (ca *CA) issue(sub string, kind cardKind, key *rsa.PublicKey, crlURL string, now time.Time, random io.Reader) ([]byte, error) {
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	keyID := sha256.Sum256(x509.MarshalPKCS1PublicKey(key)) // RFC 7093 §2, method 1
	card := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               subject(sub + "_MOCK_CARD"),
		NotBefore:             now.Add(-cardBackdate),
		NotAfter:              now.Add(cardLife),
		KeyUsage:              x509.KeyUsageContentCommitment | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		SubjectKeyId:          keyID[:20],
	}
	switch kind {
	case expired:
		card.NotBefore, card.NotAfter = now.Add(-2*cardBackdate), now.Add(-cardBackdate)
	case revoked:
		card.SerialNumber = ca.revokedSerial()
		if crlURL != "" {
			card.CRLDistributionPoints = []string{crlURL}
		}
	}
	if card.NotAfter.After(ca.cert.NotAfter) {
		card.NotAfter = ca.cert.NotAfter
	}
	return x509.CreateCertificate(random, card, ca.cert, key, ca.key)
}

// otherUser returns another user id of the same shape as sub.
func otherUser(sub string) string {
	last := sub[len(sub)-1:]
	if n, err := strconv.Atoi(last); err == nil {
		return strings.TrimSuffix(sub, last) + strconv.Itoa((n+1)%10)
	}
	return sub + "0"
}
