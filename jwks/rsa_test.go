package jwks

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	mathrand "math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// rawKey is an RSA key of many small primes. It is fast to generate at any size, deterministic, and like any
// other key to a verifier, who sees only the modulus.
type rawKey struct {
	public *rsa.PublicKey
	primes []*big.Int
}

// makeRawKey generates a key of exactly this many bits.
func makeRawKey(bits, exponent int) *rawKey {
	random := mathrand.NewChaCha8([32]byte{byte(bits), byte(bits >> 8), byte(exponent)})
	e := big.NewInt(int64(exponent))
	next := func(p *big.Int) *big.Int { // the next prime that works with e
		p.SetBit(p, 0, 1)
		for !p.ProbablyPrime(10) || new(big.Int).GCD(nil, nil, e, new(big.Int).Sub(p, big.NewInt(1))).Cmp(big.NewInt(1)) != 0 {
			p.Add(p, big.NewInt(2))
		}
		return p
	}
	k := &rawKey{}
	n := big.NewInt(1)
	for n.BitLen() < bits-600 {
		seed := make([]byte, 48)
		_, _ = random.Read(seed) // never fails
		seed[0] |= 0x80
		k.primes = append(k.primes, next(new(big.Int).SetBytes(seed)))
		n.Mul(n, k.primes[len(k.primes)-1])
	}
	// The last prime brings n to three quarters of 2^bits.
	target := new(big.Int).Lsh(big.NewInt(3), uint(bits-2))
	k.primes = append(k.primes, next(target.Div(target, n)))
	k.public = &rsa.PublicKey{N: n.Mul(n, k.primes[len(k.primes)-1]), E: exponent}
	return k
}

// power returns em^d mod n for any em: the raw private operation, by Garner's recombination.
func (k *rawKey) power(em []byte) []byte {
	m := new(big.Int).SetBytes(em)
	result, product := new(big.Int), big.NewInt(1)
	for _, p := range k.primes {
		d := new(big.Int).ModInverse(big.NewInt(int64(k.public.E)), new(big.Int).Sub(p, big.NewInt(1)))
		part := new(big.Int).Exp(m, d, p)
		part.Sub(part, result).Mul(part, new(big.Int).ModInverse(product, p)).Mod(part, p)
		result.Add(result, part.Mul(part, product))
		product.Mul(product, p)
	}
	return result.FillBytes(make([]byte, k.public.Size()))
}

// encoded returns EMSA-PKCS1-v1_5 with this many padding bytes left out and the digest's tail in their place.
func encoded(size int, prefix, digest []byte, shorter int) []byte {
	info := append(slices.Clone(prefix), digest...)
	padding := max(0, size-3-len(info)-shorter)
	em := append([]byte{0, 1}, bytes.Repeat([]byte{0xff}, padding)...)
	em = append(append(em, 0), info...)
	return append(em, bytes.Repeat([]byte{0x5a}, max(0, size-len(em)))...)[:size]
}

var rawKeys = sync.OnceValue(func() []*rawKey {
	return []*rawKey{
		makeRawKey(1024, 3), makeRawKey(1024, 65537), makeRawKey(1031, 65537), makeRawKey(2048, 3), makeRawKey(2048, 65537),
		makeRawKey(3072, 65537), makeRawKey(4095, 65537), makeRawKey(4096, 3), makeRawKey(4096, 65537), makeRawKey(8192, 65537),
	}
})

// The ways in which forge departs from an honest signature. data says where and by how much.
const (
	honest         = iota
	signatureBits  // some bits of the signature
	messageBits    // some bits of the encoded message, then signed
	anySignature   // the data are the signature
	anyMessage     // the data end the encoded message, then signed
	plusModulus    // the same residue, not reduced
	otherLength    // bytes before or after, or missing
	modulusBits    // another modulus
	otherExponent  // another exponent
	shortPadding   // padding cut short, garbage after the digest
	withoutNull    // DigestInfo without its NULL parameter
	otherPrefix    // the other hash's DigestInfo
	modeCount      // number of modes
	maxForgeryData = 2048
)

// forge returns a key and a signature for comparing our verification with crypto/rsa's.
func forge(key *rawKey, m, other *method, digest []byte, mode int, data []byte) (*rsa.PublicKey, []byte) {
	public := &rsa.PublicKey{N: key.public.N, E: key.public.E}
	size := public.Size()
	em := encoded(size, m.prefix, digest, 0)
	switch mode {
	case messageBits:
		xor(em, data)
	case anyMessage:
		copy(em[size-min(size, len(data)):], data)
	case shortPadding:
		em = encoded(size, m.prefix, digest, 1+sum(data)%(size/2))
	case withoutNull:
		info := slices.Concat(m.prefix[:len(m.prefix)-4], m.prefix[len(m.prefix)-2:])
		info[1] -= 2
		info[3] -= 2
		em = encoded(size, info, digest, 0)
	case otherPrefix:
		em = encoded(size, other.prefix, digest, 0)
	}
	signature := key.power(em)
	switch mode {
	case signatureBits:
		xor(signature, data)
	case anySignature:
		signature = data
	case plusModulus:
		s := new(big.Int).SetBytes(signature)
		signature = s.Add(s, public.N).Bytes()
	case otherLength:
		switch sum(data) % 4 {
		case 0:
			signature = append([]byte{0}, signature...)
		case 1:
			signature = append(signature, 0)
		case 2:
			signature = signature[1:]
		case 3:
			signature = signature[:size-1]
		}
	case modulusBits:
		n := public.N.Bytes()
		xor(n, data)
		n[0] |= 0x80 >> (7 - (public.N.BitLen()-1)%8)
		n[len(n)-1] |= 1
		public.N = new(big.Int).SetBytes(n)
	case otherExponent:
		public.E = 3 + 2*(sum(data)%40000)
	}
	return public, signature
}

// xor changes target: each three bytes of data are a position and a mask.
func xor(target, data []byte) {
	for ; len(data) >= 3; data = data[3:] {
		target[(int(data[0])<<8|int(data[1]))%len(target)] ^= data[2]
	}
}

func sum(data []byte) (n int) {
	for _, b := range data {
		n = (n*31 + int(b)) % 1000003
	}
	return n
}

func FuzzVerifyAgainstCryptoRSA(f *testing.F) {
	for key := range rawKeys() {
		for mode := range modeCount {
			for _, data := range []string{"", "\x00\x00\x01", "\x01\xff\x80\x00\x01\x01", "\x02\x00\xff", "abcdefghij"} {
				f.Add(byte(key), byte(mode), key%2 == 0, []byte("message"), []byte(data))
			}
		}
	}
	f.Fuzz(func(t *testing.T, keyIndex, mode byte, wide bool, message, data []byte) {
		if len(data) > maxForgeryData {
			return
		}
		m, other := rs256, rs512
		if wide {
			m, other = rs512, rs256
		}
		digest := m.sum(message)
		key := rawKeys()[int(keyIndex)%len(rawKeys())]
		public, signature := forge(key, m, other, digest, int(mode)%modeCount, data)
		ours := verifyPKCS1v15(newMontgomery(public.N), public.E, m.prefix, digest, signature)
		theirs := rsa.VerifyPKCS1v15(public, m.hash, digest, signature) == nil
		if ours != theirs {
			t.Fatalf("%d bits, e=%d, mode %d: got %v, crypto/rsa says %v", public.N.BitLen(), public.E, mode, ours, theirs)
		}
		if int(mode)%modeCount == honest && !ours {
			t.Fatalf("%d bits, e=%d: honest signature rejected", public.N.BitLen(), public.E)
		}
	})
}

// Every forgery is rejected, at every size, by both implementations.
func TestForgeriesAreRefused(t *testing.T) {
	for _, key := range rawKeys() {
		for mode := honest + 1; mode < modeCount; mode++ {
			digest := rs512.sum([]byte("message"))
			public, signature := forge(key, rs512, rs256, digest, mode, []byte{0, 1, 1})
			if verifyPKCS1v15(newMontgomery(public.N), public.E, rs512.prefix, digest, signature) {
				t.Errorf("%d bits, e=%d: forgery %d accepted", public.N.BitLen(), public.E, mode)
			}
			if rsa.VerifyPKCS1v15(public, crypto.SHA512, digest, signature) == nil {
				t.Errorf("%d bits, e=%d: crypto/rsa accepts forgery %d", public.N.BitLen(), public.E, mode)
			}
		}
	}
}

// BenchmarkVerifyRatio times RSA-4096 verification by this package, crypto/rsa and OpenSSL in turn, so that noise
// hits all three alike. It reports the medians and how many times faster this package is.
func BenchmarkVerifyRatio(b *testing.B) {
	private, err := rsa.GenerateKey(rand.Reader, 4096)
	if err != nil {
		b.Fatal(err)
	}
	digest := rs512.sum([]byte("message"))
	signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA512, digest)
	if err != nil {
		b.Fatal(err)
	}
	known := newMontgomery(private.N)
	timeOf := func(verify func() bool) float64 {
		took := make([]float64, 20)
		for i := range took {
			start := time.Now()
			if !verify() {
				b.Fatal("refused")
			}
			took[i] = float64(time.Since(start).Nanoseconds()) / 1000
		}
		return median(took)
	}
	var ours, theirs, openssl []float64
	rounds := 0
	for b.Loop() {
		ours = append(ours, timeOf(func() bool { return verifyPKCS1v15(known, private.E, rs512.prefix, digest, signature) }))
		theirs = append(theirs, timeOf(func() bool {
			return rsa.VerifyPKCS1v15(&private.PublicKey, crypto.SHA512, digest, signature) == nil
		}))
		if rounds++; rounds%20 == 1 && len(openssl) < 3 {
			if µs := opensslVerify(b); µs > 0 {
				openssl = append(openssl, µs)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ours), "µs/ours")
	b.ReportMetric(median(theirs), "µs/crypto-rsa")
	b.ReportMetric(median(theirs)/median(ours), "x-crypto-rsa")
	if len(openssl) > 0 {
		b.ReportMetric(median(openssl), "µs/openssl")
		b.ReportMetric(median(openssl)/median(ours), "x-openssl")
	}
}

// opensslVerify returns OpenSSL's own figure in µs, or 0 if OpenSSL is not installed.
func opensslVerify(b *testing.B) float64 {
	path, err := exec.LookPath("openssl")
	if err != nil {
		return 0
	}
	output, err := exec.CommandContext(b.Context(), path, "speed", "-seconds", "1", "rsa4096").Output()
	if err != nil {
		b.Fatalf("openssl speed: %v", err)
	}
	found := regexp.MustCompile(`rsa +4096 bits +\S+s +(\S+)s`).FindSubmatch(output)
	if found == nil {
		b.Fatalf("openssl speed: got no figure for rsa4096: %s", output)
	}
	seconds, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return seconds * 1e6
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
