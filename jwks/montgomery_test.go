package jwks

import (
	"math/big"
	"testing"
)

// For every modulus and base, a power equals that of math/big.
func FuzzPower(f *testing.F) {
	for _, key := range rawKeys() {
		n := key.public.N
		for _, s := range []*big.Int{{}, big.NewInt(1), new(big.Int).Sub(n, big.NewInt(1)), new(big.Int).Rsh(n, 7), new(big.Int).Rsh(n, 1030)} {
			f.Add(n.Bytes(), s.Bytes(), uint16(3))
			f.Add(n.Bytes(), s.Bytes(), uint16(0xffff))
		}
	}
	for _, bits := range []uint{2, blockBits - 1, blockBits, blockBits + 1, 4 * blockBits} {
		edge := new(big.Int).Lsh(big.NewInt(1), bits)
		f.Add(edge.Bytes(), []byte{2}, uint16(5))                                   // just above a power of two
		f.Add(edge.Sub(edge, big.NewInt(1)).Bytes(), edge.Bytes()[1:], uint16(257)) // just below
	}
	f.Fuzz(func(t *testing.T, modulusBytes, base []byte, half uint16) {
		if len(modulusBytes) > maxBits/8 || len(base) > maxBits/8 {
			return
		}
		n := new(big.Int).SetBytes(modulusBytes)
		n.SetBit(n, 0, 1)
		if n.Cmp(big.NewInt(3)) < 0 {
			return
		}
		s := new(big.Int).SetBytes(base)
		s.Mod(s, n)
		e := 2*int(half) + 3
		before := new(big.Int).Set(s)
		m, got, want := newMontgomery(n), make([]byte, len(n.Bytes())), new(big.Int).Exp(s, big.NewInt(int64(e)), n)
		for range 2 { // the second time with scratch numbers from the pool
			if m.power(got, s, e); new(big.Int).SetBytes(got).Cmp(want) != 0 {
				t.Fatalf("%x^%d mod %x: got %x, want %x", s, e, n, got, want)
			}
		}
		if s.Cmp(before) != 0 {
			t.Fatal("power modified its base")
		}
	})
}
