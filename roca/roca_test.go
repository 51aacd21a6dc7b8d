package roca_test

import (
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"testing"

	"github.com/seed-dd2befc3/countersign/roca"
	"github.com/seed-dd2befc3/countersign/roca/rocatest"
)

func TestWeakKeys(t *testing.T) {
	for _, bits := range []int{1024, 2048} {
		key, err := rocatest.Key(bits)
		if err != nil {
			t.Fatal(err)
		}
		if key.N.BitLen() != bits || !roca.Weak(key.N) || roca.Check(key.N) == nil {
			t.Errorf("%d-bit key of the flawed library: got sound, want weak", key.N.BitLen())
		}
		if other := new(big.Int).Add(key.N, big.NewInt(2)); roca.Weak(other) {
			t.Error("neighbour of a weak key: got weak, want sound")
		}
	}
}

func TestSoundKeys(t *testing.T) {
	for range 20 {
		key, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // the fingerprint does not depend on the size
		if err != nil {
			t.Fatal(err)
		}
		if roca.Weak(key.N) || roca.Check(key.N) != nil {
			t.Errorf("sound key %x: got weak", key.N)
		}
	}
	// A power of 65537 modulo each of the primes, but with no common exponent.
	fake, _ := new(big.Int).SetString("72414128973967872688332736535017614208620368242015797102796086827882754006260204061799547004983731426777596445658889886861027045033760014948048067467947960318205453778973975867532910489227970143091184725760290172935872752222320334100097730483600892686353719855397381316384244147860260153198611313067061116317", 10)
	if roca.Weak(fake) {
		t.Error("modulus without a common exponent: got weak, want sound")
	}
	for _, n := range []int64{0, 1 << 40, 3, 167} {
		if roca.Weak(big.NewInt(n)) {
			t.Errorf("modulus %d: got weak, want sound", n)
		}
	}
}

func BenchmarkWeak(b *testing.B) {
	key, err := rocatest.Key(2048)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		roca.Weak(key.N)
	}
}
