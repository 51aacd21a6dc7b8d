package jwks

import (
	"math/big"
	"math/bits"
	"sync"
)

// montgomery is an odd modulus with the values that modular exponentiation needs, computed once per key. For small
// exponents math/big divides after each multiplication; Montgomery reduction multiplies instead, which is a fifth
// faster at 4096 bits. Its time depends on the operands, so it is for public ones only.
type montgomery struct {
	n       *big.Int
	mask    *big.Int // a one in each bit of a block
	inverse *big.Int // -1/n modulo 2^blockBits
	square  *big.Int // R² modulo n, where R = 2^(blocks·blockBits) > n
	blocks  int
	spare   sync.Pool // of *reduction
}

// blockBits is the number of bits reduced at once: small blocks mean many steps, large ones slow steps.
const blockBits = 1024

func newMontgomery(n *big.Int) *montgomery {
	block := new(big.Int).Lsh(big.NewInt(1), blockBits)
	m := &montgomery{n: n, blocks: (n.BitLen() + blockBits - 1) / blockBits}
	m.mask = new(big.Int).Sub(block, big.NewInt(1))
	m.inverse = new(big.Int).ModInverse(n, block)
	m.inverse.Sub(block, m.inverse)
	m.square = new(big.Int).Lsh(big.NewInt(1), uint(2*m.blocks*blockBits))
	m.square.Mod(m.square, n)
	return m
}

// power writes s^e mod n to out, which is as long as n. It needs s < n and an odd e.
func (m *montgomery) power(out []byte, s *big.Int, e int) {
	r, pooled := m.spare.Get().(*reduction)
	if !pooled {
		r = &reduction{}
	}
	defer m.spare.Put(r)
	x := r.times(m, &r.x, s, m.square) // s·R
	result, other := r.result.Set(x), &r.other
	for i := bits.Len(uint(e)) - 2; i >= 0; i-- {
		result, other = r.times(m, other, result, result), result
		switch {
		case i == 0: // the last factor is s itself, which removes R, because e is odd
			result = r.times(m, other, result, s)
		case e>>i&1 == 1:
			result, other = r.times(m, other, result, x), result
		}
	}
	result.FillBytes(out)
}

// reduction is the scratch space of one exponentiation.
type reduction struct{ x, result, other, low, q, many big.Int }

// times sets z to x·y/R mod n for x and y below n. z must be neither x nor y.
func (r *reduction) times(m *montgomery, z, x, y *big.Int) *big.Int {
	z.Mul(x, y)
	for range m.blocks {
		// The multiple of n that makes the lowest block zero.
		r.low.And(z, m.mask)
		r.low.And(r.q.Mul(&r.low, m.inverse), m.mask)
		z.Rsh(z.Add(z, r.many.Mul(&r.low, m.n)), blockBits)
	}
	if z.Cmp(m.n) >= 0 { // z is below 2n
		z.Sub(z, m.n)
	}
	return z
}
