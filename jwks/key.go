package jwks

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"unicode/utf8"

	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/seed-dd2befc3/countersign/roca"
)

// What a key may be. Who needs larger keys asks ModulusBytes; the Signing Service wants 512.
const (
	minBits     = 2048
	maxBits     = 8192 // verification grows with the square: 16384 bits cost 5 ms
	maxExponent = 1<<31 - 1
	maxKID      = 256 // characters; kids of 133 with + / = are in use
)

// Key is an RSA public key under its kid. It does not change.
type Key struct {
	kid        string
	public     *rsa.PublicKey
	modulus    *montgomery // of public
	thumbprint string
	cryptoRSA  bool
}

// newKey checks what every key must satisfy, wherever it came from.
func newKey(kid string, n, e *big.Int) (*Key, error) {
	if err := checkKID(kid); err != nil {
		return nil, err
	}
	switch bits := n.BitLen(); {
	case bits > maxBits:
		return nil, fmt.Errorf("its modulus has %d bits; at most %d are taken", bits, maxBits)
	case bits < minBits:
		return nil, fmt.Errorf("its modulus has %d bits; at least %d are needed", bits, minBits)
	case n.Bit(0) == 0:
		return nil, errors.New("its modulus is even, so it is not an RSA key")
	case !e.IsInt64() || e.Int64() < 3 || e.Int64() > maxExponent || e.Bit(0) == 0:
		return nil, errors.New("its exponent is not an odd number from 3 to 2^31-1")
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
		return errors.New("it has no kid")
	case utf8.RuneCountInString(kid) > maxKID:
		return fmt.Errorf("its kid is longer than %d characters", maxKID)
	}
	return nil
}

func thumbprintOf(public any) (string, error) {
	key, err := jwk.FromRaw(public)
	if err != nil {
		return "", fmt.Errorf("jwks: making a JWK: %w", err)
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("jwks: making a thumbprint: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// KID returns the name under which the owner registered or published the key.
func (k *Key) KID() string { return k.kid }

// Bits returns the length of the modulus in bits. Registered "4096-bit" keys with 4095 exist.
func (k *Key) Bits() int { return k.public.N.BitLen() }

// ModulusBytes returns the length of the modulus, and so of a signature, in bytes.
func (k *Key) ModulusBytes() int { return k.public.Size() }

// Public returns the key for crypto/rsa. The caller must not change it.
func (k *Key) Public() *rsa.PublicKey { return k.public }

// Thumbprint returns the RFC 7638 thumbprint: base64url of SHA-256.
func (k *Key) Thumbprint() string { return k.thumbprint }

// WithCryptoRSA returns the key with verification done by crypto/rsa instead of our own. In FIPS 140 mode
// every key verifies so.
func (k *Key) WithCryptoRSA() *Key {
	other := *k
	other.cryptoRSA = true
	return &other
}

// ParsePublicPEM reads the first PEM block of data: a PKIX or PKCS #1 public key, or a certificate, of which
// the key alone is used. The kid is not in there, so it is given.
func ParsePublicPEM(kid string, data []byte) (*Key, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it holds no PEM block; expected is -----BEGIN PUBLIC KEY-----")
	}
	var public any
	var err error
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
		return nil, errors.New("it holds a private key, which belongs to the client alone; " +
			"replace it with its public half (openssl pkey -pubout) and have the client make a new key")
	default:
		return nil, fmt.Errorf("its PEM block is %q; expected is PUBLIC KEY", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("its %s cannot be read: %w", block.Type, err)
	}
	key, ok := public.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("its key is not RSA; RS512 needs an RSA key")
	}
	return KeyOf(kid, key)
}

// KeyOf gives a public key its kid, if it is one that ParseSet would take.
func KeyOf(kid string, public *rsa.PublicKey) (*Key, error) {
	return newKey(kid, public.N, big.NewInt(int64(public.E)))
}
