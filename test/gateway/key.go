package gateway

import (
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"strconv"
	"testing"
)

// Key is an RSA key pair in files, made and used by openssl.
type Key struct {
	Private string // path of the PEM private key
	Public  string // path of the PEM public key
}

// NewKey makes an RSA key of that many bits, for one test.
func NewKey(t testing.TB, bits int) Key {
	t.Helper()
	k, err := MakeKey(t.TempDir(), bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// MakeKey makes an RSA key of that many bits in a directory.
func MakeKey(dir string, bits int) (Key, error) {
	k := Key{Private: filepath.Join(dir, "key.pem"), Public: filepath.Join(dir, "public.pem")}
	if _, err := Run(nil, "openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:"+strconv.Itoa(bits), "-out", k.Private); err != nil {
		return Key{}, err
	}
	_, err := Run(nil, "openssl", "pkey", "-in", k.Private, "-pubout", "-out", k.Public)
	return k, err
}

// JWT signs header and claims, as they are marshalled, by RSASSA-PKCS1-v1_5 with SHA-512.
func (k Key) JWT(t testing.TB, header, claims any) string {
	t.Helper()
	return k.Sign(t, mustJSON(t, header), mustJSON(t, claims))
}

// Sign makes the compact JWS of header and claims given as bytes, whatever they are.
func (k Key) Sign(t testing.TB, header, claims []byte) string {
	t.Helper()
	input := b64url(header) + "." + b64url(claims)
	return input + "." + b64url(openssl(t, []byte(input), "dgst", "-sha512", "-sign", k.Private))
}

// JWK is the public key as a JSON Web Key with nothing but kty, kid, n and e, as most registered keys are.
func (k Key) JWK(t testing.TB, kid string) map[string]string {
	t.Helper()
	modulus := openssl(t, nil, "rsa", "-pubin", "-in", k.Public, "-noout", "-modulus") // Modulus=ABCD…\n
	return map[string]string{"kty": "RSA", "kid": kid, "n": b64url(unhex(t, string(modulus[len("Modulus="):len(modulus)-1]))), "e": "AQAB"}
}

func openssl(t testing.TB, input []byte, args ...string) []byte {
	t.Helper()
	out, err := Run(input, "openssl", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func unhex(t testing.TB, digits string) []byte {
	t.Helper()
	out := make([]byte, len(digits)/2)
	for i := range out {
		n, err := strconv.ParseUint(digits[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = byte(n)
	}
	return out
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func b64url(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
