package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"os"
)

// key is an RSA key of 4096 bits with sixteen primes in place of two. To whoever verifies it is a key like any other,
// but it signs some twenty times as fast, so that a benchmark can afford tens of thousands of distinct requests. Such
// a modulus can be factored; it is good for nothing else.
type key struct {
	file      string // the public key in PEM
	modulus   *big.Int
	primes    []*big.Int
	exponents []*big.Int // the private exponent below each prime
	joints    []*big.Int // 1 modulo its prime, and 0 modulo the others
}

const (
	keyBits     = 4096
	primesOfKey = 16
)

func newKey(file string) (*key, error) {
	k := &key{file: file, modulus: big.NewInt(1)}
	public := big.NewInt(65537)
	for len(k.primes) < primesOfKey {
		bits := keyBits / primesOfKey
		if len(k.primes) == primesOfKey-1 {
			bits = keyBits - k.modulus.BitLen() + mathrand.IntN(2) // makes up for what the others are short of
		}
		prime, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			return nil, err
		}
		exponent := new(big.Int).ModInverse(public, new(big.Int).Sub(prime, big.NewInt(1)))
		product := new(big.Int).Mul(k.modulus, prime)
		if exponent == nil || len(k.primes) == primesOfKey-1 && product.BitLen() != keyBits {
			continue
		}
		k.primes, k.exponents, k.modulus = append(k.primes, prime), append(k.exponents, exponent), product
	}
	for _, prime := range k.primes {
		others := new(big.Int).Div(k.modulus, prime)
		k.joints = append(k.joints, others.Mul(others, new(big.Int).ModInverse(others, prime)))
	}
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: k.modulus, E: int(public.Int64())})
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, fmt.Errorf("keeping the public key: %w", err)
	}
	return k, nil
}

// sign makes an RSASSA-PKCS1-v1_5 signature with SHA-512 (RFC 8017 §8.2.1).
func (k *key) sign(input []byte) []byte {
	const size = keyBits / 8
	prefix := []byte("\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40")
	digest := sha512.Sum512(input)
	message := make([]byte, size)
	message[1] = 1
	end := size - len(prefix) - len(digest)
	for i := 2; i < end-1; i++ {
		message[i] = 0xff
	}
	copy(message[end:], prefix)
	copy(message[end+len(prefix):], digest[:])

	encoded, sum := new(big.Int).SetBytes(message), new(big.Int)
	for i, prime := range k.primes {
		part := new(big.Int).Mod(encoded, prime)
		sum.Add(sum, part.Mul(part.Exp(part, k.exponents[i], prime), k.joints[i]))
	}
	return sum.Mod(sum, k.modulus).FillBytes(message)
}
