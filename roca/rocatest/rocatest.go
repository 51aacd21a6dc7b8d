// Package rocatest generates keys as the flawed library did, for tests.
package rocatest

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
)

// Key generates a key of 1024, 2048 or 4096 bits that has the ROCA fingerprint and is otherwise a normal RSA key.
func Key(bits int) (*rsa.PrivateKey, error) {
	count := map[int]int{1024: 71, 2048: 126, 4096: 225}[bits]
	product, order := big.NewInt(1), big.NewInt(1)
	for prime := int64(2); count > 0; prime++ {
		p := big.NewInt(prime)
		if !p.ProbablyPrime(20) {
			continue
		}
		count--
		product.Mul(product, p)
		less := big.NewInt(prime - 1)
		order.Div(new(big.Int).Mul(order, less), new(big.Int).GCD(nil, nil, order, less))
	}
	p, err := prime(bits/2, product, order)
	if err != nil {
		return nil, err
	}
	q, err := prime(bits/2, product, order)
	if err != nil {
		return nil, err
	}
	one, e := big.NewInt(1), big.NewInt(65537)
	key := &rsa.PrivateKey{Primes: []*big.Int{p, q}}
	key.N, key.E = new(big.Int).Mul(p, q), 65537
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key.D = new(big.Int).ModInverse(e, phi)
	if key.D == nil || p.Cmp(q) == 0 {
		return Key(bits)
	}
	key.Precompute()
	return key, key.Validate()
}

// prime returns a prime of the form k·M + (65537^a mod M) with its two highest bits set.
func prime(bits int, product, order *big.Int) (*big.Int, error) {
	low := new(big.Int).Lsh(big.NewInt(3), uint(bits-2))
	high := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	first := new(big.Int).Div(low, product)
	room := new(big.Int).Sub(new(big.Int).Div(high, product), first)
	for {
		a, err := rand.Int(rand.Reader, order)
		if err != nil {
			return nil, err
		}
		k, err := rand.Int(rand.Reader, new(big.Int).Add(room, big.NewInt(1)))
		if err != nil {
			return nil, err
		}
		p := new(big.Int).Exp(big.NewInt(65537), a, product)
		p.Add(p, k.Mul(k.Add(k, first), product))
		if p.Cmp(low) >= 0 && p.BitLen() == bits && p.ProbablyPrime(20) {
			return p, nil
		}
	}
}
