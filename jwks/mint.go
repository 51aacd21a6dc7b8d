package jwks

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/go-json-experiment/json"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/seed-dd2befc3/countersign/textfile"
)

// GenerateRSA generates a private key; the services require 4096 bits of a client. A nil random means
// crypto/rand, which Go 1.26 and later use in any case.
func GenerateRSA(bits int, random io.Reader) (*rsa.PrivateKey, error) {
	if random == nil {
		random = rand.Reader
	}
	key, err := rsa.GenerateKey(random, bits)
	if err != nil {
		return nil, fmt.Errorf("jwks: generating an RSA key: %w", err)
	}
	return key, nil
}

// Signer mints RS512 tokens with one private key, as a client system does. It is immutable.
type Signer struct {
	public  *Key
	private *rsa.PrivateKey
	pkcs8   []byte
}

// NewSigner returns a signer for a private key. It fails if ParseSet would not accept the public half.
func NewSigner(kid string, key *rsa.PrivateKey) (*Signer, error) {
	public, err := KeyOf(kid, &key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("signing key cannot be used: %w", err)
	}
	if err := key.Validate(); err != nil {
		return nil, errors.New("signing key is inconsistent: its private and public numbers do not belong together")
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, errors.New("signing key cannot be encoded as PKCS #8")
	}
	return &Signer{public: public, private: key, pkcs8: pkcs8}, nil
}

// ParseSigner parses an RSA private key, PKCS #8 or PKCS #1, from the first PEM block of data, which textfile.Blocks reads.
func ParseSigner(kid string, data []byte) (*Signer, error) {
	blocks, err := textfile.Blocks(data)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	if len(blocks) == 0 {
		return nil, errors.New("signing key has no PEM block, want -----BEGIN PRIVATE KEY-----")
	}
	block := blocks[0]
	var private any
	switch {
	case textfile.Encrypted(block):
		return nil, errors.New("signing key is encrypted: decrypt it first (openssl pkey -in … -out …)")
	case block.Type == "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case block.Type == "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("signing key has a PEM block %q, want PRIVATE KEY", block.Type)
	}
	key, ok := private.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, errors.New("signing key is not a valid RSA private key; RS512 needs one")
	}
	return NewSigner(kid, key)
}

// ReadSigner reads a signer from a PEM file, as ParseSigner does. Errors name the key and the file.
func ReadSigner(kid, path string) (*Signer, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the path comes from the operator
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", kid, err)
	}
	signer, err := ParseSigner(kid, text)
	if err != nil {
		return nil, fmt.Errorf("key %s, file %s: %w", kid, path, err)
	}
	return signer, nil
}

// KID returns the key id.
func (s *Signer) KID() string { return s.public.kid }

// Key returns the public key.
func (s *Signer) Key() *Key { return s.public }

// MarshalPEM returns the private key as PKCS #8 in PEM. It is a secret.
func (s *Signer) MarshalPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: s.pkcs8})
}

// Mint returns a compact JWS of the claims with typ JWT, alg RS512 and the signer's kid. Claims is anything
// that encodes to a JSON object.
func (s *Signer) Mint(claims any) (string, error) {
	token := jwt.NewWithClaims(rs512, anyClaims{value: claims})
	token.Header["kid"] = s.public.kid
	compact, err := token.SignedString(s.private)
	if err != nil {
		return "", fmt.Errorf("jwks: minting a token: %w", err)
	}
	return compact, nil
}

// anyClaims passes claims of any type to golang-jwt. The embedded interface stays nil: only golang-jwt's
// validator calls its methods, and that never runs.
type anyClaims struct {
	jwt.Claims
	value any
}

// MarshalJSON encodes the claims deterministically.
func (c anyClaims) MarshalJSON() ([]byte, error) {
	return json.Marshal(c.value, json.Deterministic(true))
}

// PublicSet returns the signer's public key as a JWK set, with kid, alg and use.
func (s *Signer) PublicSet() ([]byte, error) { return PublicSet(s) }

// PublicSet returns the signers' public keys as one JWK set, with kid, alg and use.
func PublicSet(signers ...*Signer) ([]byte, error) {
	keys := make([]published, len(signers))
	for i, s := range signers {
		keys[i] = published{kid: s.public.kid, alg: jwa.RS512, public: s.public.public}
	}
	return publish(keys)
}

// published is a public key as an entry of a set.
type published struct {
	kid    string
	alg    jwa.SignatureAlgorithm
	public any // *rsa.PublicKey or ed25519.PublicKey
}

// publish encodes a JWK set. Every key has kid, alg and use, for readers that select by alg.
func publish(keys []published) ([]byte, error) {
	set := jwk.NewSet()
	for _, p := range keys {
		key, err := jwk.FromRaw(p.public)
		if err == nil {
			err = errors.Join(
				key.Set(jwk.KeyIDKey, p.kid),
				key.Set(jwk.AlgorithmKey, p.alg),
				key.Set(jwk.KeyUsageKey, jwk.ForSignature),
				set.AddKey(key),
			)
		}
		if err != nil {
			return nil, fmt.Errorf("jwks: publishing key %.64q: %w", p.kid, err)
		}
	}
	data, err := json.Marshal(set, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("jwks: publishing the key set: %w", err)
	}
	return data, nil
}
