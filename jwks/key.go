package jwks

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/seed-dd2befc3/countersign/roca"
	"github.com/seed-dd2befc3/countersign/textfile"
)

// The limits of a key. Callers that need larger keys check ModulusBytes; the Signing Service requires 512.
const (
	minBits     = 2048
	maxBits     = 8192 // the cost of a verification grows with the square: 16384 bits take 5 ms
	maxExponent = 1<<31 - 1
	maxKID      = 256 // characters; kids of 133 characters with +, / and = are in use
)

// Key is an RSA public key with its kid. It is immutable.
type Key struct {
	kid        string
	public     *rsa.PublicKey
	modulus    *montgomery // of the modulus of public
	thumbprint string
	cryptoRSA  bool
}

// newKey returns a key, or the rule it breaks. Every key is made here.
func newKey(kid string, n, e *big.Int) (*Key, error) {
	if err := checkKID(kid); err != nil {
		return nil, err
	}
	switch bits := n.BitLen(); {
	case bits > maxBits:
		return nil, fmt.Errorf("modulus has %d bits, want at most %d", bits, maxBits)
	case bits < minBits:
		return nil, fmt.Errorf("modulus has %d bits, want at least %d", bits, minBits)
	case n.Bit(0) == 0:
		return nil, errors.New("modulus is even, so this is not an RSA key")
	case !e.IsInt64() || e.Int64() < 3 || e.Int64() > maxExponent || e.Bit(0) == 0:
		return nil, errors.New("exponent is not an odd number from 3 to 2^31-1")
	}
	if err := roca.Check(n); err != nil {
		return nil, err
	}
	public := &rsa.PublicKey{N: n, E: int(e.Int64())}
	thumbprint, err := thumbprintOf(public)
	if err != nil {
		return nil, err
	}
	return &Key{kid: kid, public: public, modulus: newMontgomery(n), thumbprint: thumbprint}, nil
}

func checkKID(kid string) error {
	switch {
	case kid == "":
		return errors.New("kid is missing")
	case utf8.RuneCountInString(kid) > maxKID:
		return fmt.Errorf("kid is longer than %d characters", maxKID)
	}
	return nil
}

func thumbprintOf(public any) (string, error) {
	key, err := jwk.FromRaw(public)
	if err != nil {
		return "", fmt.Errorf("jwks: encoding a JWK: %w", err)
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("jwks: computing a thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// KID returns the key id under which the owner registered or published the key.
func (k *Key) KID() string { return k.kid }

// Bits returns the length of the modulus in bits. Some "4096-bit" keys in use have 4095.
func (k *Key) Bits() int { return k.public.N.BitLen() }

// ModulusBytes returns the length of the modulus, and so of a signature, in bytes.
func (k *Key) ModulusBytes() int { return k.public.Size() }

// Public returns the key for crypto/rsa. The caller must not modify it.
func (k *Key) Public() *rsa.PublicKey { return k.public }

// Thumbprint returns the RFC 7638 thumbprint: base64url of SHA-256.
func (k *Key) Thumbprint() string { return k.thumbprint }

// WithCryptoRSA returns a copy of the key that is verified by crypto/rsa instead of this package. In FIPS 140
// mode every key is.
func (k *Key) WithCryptoRSA() *Key {
	other := *k
	other.cryptoRSA = true
	return &other
}

// ParsePublicPEM parses the first PEM block of data, which textfile.Blocks reads: a PKIX or PKCS #1 public key, or a
// certificate, of which only the key is used. PEM has no kid, so the caller gives it.
func ParsePublicPEM(kid string, data []byte) (*Key, error) {
	blocks, err := textfile.Blocks(data)
	if err != nil {
		return nil, err
	}
	if len(blocks) == 0 {
		return nil, errors.New("no PEM block found, want -----BEGIN PUBLIC KEY-----")
	}
	block := blocks[0]
	var public any
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = certificate.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("found a private key, which only the client may have: " +
			"replace it with its public half (openssl pkey -pubout) and have the client generate a new key")
	default:
		return nil, fmt.Errorf("PEM block is %q, want PUBLIC KEY", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("parsing the PEM block %s: %w", block.Type, err)
	}
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("key is not RSA; RS512 needs an RSA key")
	}
	return KeyOf(kid, key)
}

// KeyOf returns a public key with its kid. It fails if ParseSet would not accept the key.
func KeyOf(kid string, public *rsa.PublicKey) (*Key, error) {
	return newKey(kid, public.N, big.NewInt(int64(public.E)))
}
