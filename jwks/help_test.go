package jwks

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"sync"
	"testing"
)

var testKeys = sync.OnceValues(func() ([]*rsa.PrivateKey, error) {
	keys := make([]*rsa.PrivateKey, 3)
	for i := range keys {
		key, err := GenerateRSA(2048, nil)
		if err != nil {
			return nil, err
		}
		keys[i] = key
	}
	return keys, nil
})

// testSigner returns a signer with one of three RSA-2048 keys. Kids that end in different digits, out of 0, 1
// and 2, have different keys.
func testSigner(t testing.TB, kid string) *Signer {
	t.Helper()
	keys, err := testKeys()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner(kid, keys[int(kid[len(kid)-1])%3])
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func publicPEM(t testing.TB, s *Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.Key().Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
