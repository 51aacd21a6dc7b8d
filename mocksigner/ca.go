package mocksigner

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"time"
)

// Where a Vault keeps the mock CA, both as PEM.
const (
	CACertName = "countersign/mock/ca.crt"
	CAKeyName  = "countersign/mock/ca.key"
	caLockName = "countersign/mock/ca"
)

// subject makes the subject of a certificate of this package. It says that it is a mock.
func subject(commonName string) pkix.Name {
	//nolint:misspell // the package spells it so
	return pkix.Name{CommonName: commonName, Organization: []string{"Countersign MOCK - not for clinical use"}}
}

// caLife is how long a mock CA is valid. It is backdated by more than its leaf certificates.
const (
	caLife     = 10 * 365 * 24 * time.Hour
	caBackdate = 48 * time.Hour
)

// Vault keeps the CA where every node of an installation finds it. Names look like paths. Save must be durable and
// must not let others read the value.
type Vault interface {
	Load(ctx context.Context, name string) ([]byte, error) // fs.ErrNotExist if the name is unknown
	Save(ctx context.Context, name string, value []byte) error
	Lock(ctx context.Context, name string) error // waits until no other node holds it
	Unlock(ctx context.Context, name string) error
}

// CA is an installation's own mock CA.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// LoadCA loads the mock CA from the vault, and makes one if there is none or it has expired. Nodes that start
// together get the same one. now and random default to time.Now and crypto/rand.
func LoadCA(ctx context.Context, vault Vault, now func() time.Time, random io.Reader) (*CA, error) {
	if now == nil {
		now = time.Now
	}
	if random == nil {
		random = rand.Reader
	}
	if ca, err := readCA(ctx, vault, now()); err == nil {
		return ca, nil
	}
	// Missing, or another node is writing it: look again under the lock.
	if err := vault.Lock(ctx, caLockName); err != nil {
		return nil, fmt.Errorf("mock CA: %w", err)
	}
	ca, err := readCA(ctx, vault, now())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errExpired) {
		ca, err = createCA(ctx, vault, now(), random)
	}
	if unlockErr := vault.Unlock(context.WithoutCancel(ctx), caLockName); err == nil && unlockErr != nil {
		err = fmt.Errorf("mock CA: %w", unlockErr)
	}
	if err != nil {
		return nil, err
	}
	return ca, nil
}

var errExpired = errors.New("the mock CA has expired")

// readCA reads the CA. Half of one, left by a node that died between its two writes, counts as none.
func readCA(ctx context.Context, vault Vault, now time.Time) (*CA, error) {
	certPEM, err := vault.Load(ctx, CACertName)
	if err != nil {
		return nil, fmt.Errorf("mock CA: %w", err)
	}
	keyPEM, err := vault.Load(ctx, CAKeyName)
	if err != nil {
		return nil, fmt.Errorf("mock CA: %w", err)
	}
	ca, err := parseCA(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("mock CA: %w: delete %s and %s, and a new one is made", err, CACertName, CAKeyName)
	}
	if !now.Before(ca.cert.NotAfter) {
		return nil, errExpired
	}
	return ca, nil
}

func parseCA(certPEM, keyPEM []byte) (*CA, error) {
	certDER, err := unarmour(certPEM, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	keyDER, err := unarmour(keyPEM, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(certDER)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(keyDER)
	if err != nil {
		return nil, errors.New("the key cannot be read")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, errors.New("the key is not the certificate's")
	}
	if !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 || cert.CheckSignatureFrom(cert) != nil {
		return nil, errors.New("the certificate is not a self-signed CA's")
	}
	return &CA{cert: cert, key: key}, nil
}

func createCA(ctx context.Context, vault Vault, now time.Time, random io.Reader) (*CA, error) {
	suffix := make([]byte, 4)
	if _, err := io.ReadFull(random, suffix); err != nil {
		return nil, fmt.Errorf("mock CA: %w", err)
	}
	ca, err := newCA(subject("Countersign mock CA "+hex.EncodeToString(suffix)), nil, now, random)
	if err != nil {
		return nil, fmt.Errorf("mock CA: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return nil, fmt.Errorf("mock CA: %w", err)
	}
	// The key first: a certificate is never stored without its key.
	if err := vault.Save(ctx, CAKeyName, armour("PRIVATE KEY", keyDER)); err != nil {
		return nil, fmt.Errorf("mock CA: %w", err)
	}
	if err := vault.Save(ctx, CACertName, armour("CERTIFICATE", ca.cert.Raw)); err != nil {
		return nil, fmt.Errorf("mock CA: %w", err)
	}
	return ca, nil
}

// newCA makes a CA with a new key. keyID is its subject key id; nil derives it from the key.
func newCA(name pkix.Name, keyID []byte, now time.Time, random io.Reader) (*CA, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, err
	}
	serial, err := newSerial(random)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(random, &x509.Certificate{
		SerialNumber:          serial,
		Subject:               name,
		NotBefore:             now.Add(-caBackdate),
		NotAfter:              now.Add(caLife),
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		SubjectKeyId:          keyID,
	}, &x509.Certificate{Subject: name, SubjectKeyId: keyID}, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &CA{cert: cert, key: key}, nil
}

// Certificate returns the CA's own certificate. Callers must not change it.
func (ca *CA) Certificate() *x509.Certificate { return ca.cert }

// CRL returns the CA's revocation list as of now, in DER, valid for a month. It revokes the one serial of all cards
// of the fault revoked_certificate, for keyCompromise, since the CA's first day.
func (ca *CA) CRL(now time.Time) ([]byte, error) {
	return x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number:     big.NewInt(now.Unix()),
		ThisUpdate: now.Add(-time.Hour),
		NextUpdate: now.Add(30 * 24 * time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{
			{SerialNumber: ca.revokedSerial(), RevocationTime: ca.cert.NotBefore, ReasonCode: 1},
		},
	}, ca.cert, ca.key)
}

// revokedSerial is the same on every node and for every revoked card, so that no list of cards is needed.
func (ca *CA) revokedSerial() *big.Int {
	sum := sha256.Sum256(append([]byte("countersign mock revoked "), ca.cert.SubjectKeyId...))
	return positive(sum[:16])
}

// newSerial returns 127 random bits (RFC 5280 §4.1.2.2 requires a positive number of at most 20 bytes).
func newSerial(random io.Reader) (*big.Int, error) {
	raw := make([]byte, 16)
	if _, err := io.ReadFull(random, raw); err != nil {
		return nil, err
	}
	return positive(raw), nil
}

func positive(raw []byte) *big.Int {
	raw = bytes.Clone(raw)
	raw[0] = raw[0]&0x7f | 0x40
	return new(big.Int).SetBytes(raw)
}

func armour(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func unarmour(text []byte, kind string) ([]byte, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != kind || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("not one PEM block of type %s", kind)
	}
	return block.Bytes, nil
}
