// Package roca detects RSA keys whose private key can be computed from the public one, because chips of one vendor
// generated them with a flawed library (ROCA, CVE-2017-15361). Smartcards are among those chips, and so are TPMs and
// security keys.
//
// The package checks a modulus and does nothing else. It keeps no state.
package roca

import (
	"errors"
	"math/big"
)

// ErrWeak is returned for a key with the fingerprint.
var ErrWeak = errors.New("the key has the ROCA fingerprint (CVE-2017-15361), so its private half can be computed from the public one; " +
	"generate a new key with other hardware or software")

// The library generated primes of the form k·M + (65537^a mod M), where M is the product of the first primes, at least of
// these. So the modulus is a power of 65537 modulo M: it is one modulo each prime, and the exponents agree. For a sound
// key the first holds once in about 2^28, both once in about 2^150.
var (
	primes = []int64{
		3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
		113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
	}
	product, logarithms = prepare()
)

// prepare returns the product of the primes and, for each prime, the exponents of 65537 by remainder.
func prepare() (*big.Int, []map[int64]int64) {
	all, exponents := big.NewInt(1), make([]map[int64]int64, len(primes))
	for i, prime := range primes {
		all.Mul(all, big.NewInt(prime))
		exponents[i] = map[int64]int64{}
		for power := int64(1); ; power = power * 65537 % prime {
			if _, seen := exponents[i][power]; seen {
				break
			}
			exponents[i][power] = int64(len(exponents[i]))
		}
	}
	return all, exponents
}

// Weak reports whether an RSA modulus has the fingerprint.
func Weak(modulus *big.Int) bool {
	rest, remainder := new(big.Int).Mod(modulus, product), new(big.Int)
	found := make([]int64, len(primes))
	for i, prime := range primes {
		exponent, is := logarithms[i][remainder.Mod(rest, big.NewInt(prime)).Int64()]
		if !is {
			return false
		}
		found[i] = exponent
	}
	// An exponent is known modulo the order of 65537, which is the number of its powers.
	for i, one := range found {
		for j, other := range found[:i] {
			if (one-other)%gcd(int64(len(logarithms[i])), int64(len(logarithms[j]))) != 0 {
				return false
			}
		}
	}
	return true
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Check returns ErrWeak if the modulus has the fingerprint.
func Check(modulus *big.Int) error {
	if Weak(modulus) {
		return ErrWeak
	}
	return nil
}
