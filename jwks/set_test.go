package jwks

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// modulus returns an odd number of exactly this many bits in base64url. It need not be a real key's: a set is public.
func modulus(bits int) string {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return base64.RawURLEncoding.EncodeToString(n.SetBit(n, 0, 1).Bytes())
}

// jwkWith returns a public RSA key's JSON with members changed; a nil value removes one.
func jwkWith(changes map[string]any) string {
	members := map[string]any{"kty": "RSA", "kid": "k1", "n": modulus(4096), "e": "AQAB"}
	for name, value := range changes {
		if value == nil {
			delete(members, name)
		} else {
			members[name] = value
		}
	}
	data, err := json.Marshal(members)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func setOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

type m = map[string]any

func TestSetsAsInTheWild(t *testing.T) {
	kid133 := strings.Repeat("a+b/c=", 22) + "x"
	set, err := ParseSet([]byte(setOf(
		jwkWith(m{}),
		jwkWith(m{"kid": kid133, "n": modulus(4095), "use": "sig", "alg": "RS512", "key_ops": []string{"verify"}}),
		jwkWith(m{"kid": "x5c", "x5c": []string{"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"}, "x5t": 5, "exp": 1, "ext": true}),
		jwkWith(m{"kid": "small", "n": modulus(2048), "e": "Aw"}),
		jwkWith(m{"kid": "large", "n": modulus(8192), "e": "f____w"}), // 2^31-1
		jwkWith(m{"kid": "padded", "n": modulus(4096) + "="}),
		jwkWith(m{"kid": "RS256", "alg": "RS256"}),
		jwkWith(m{"kid": strings.Repeat("é", 256)}),
	)))
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Keys()) != 8 || len(set.Skipped()) != 0 {
		t.Fatalf("got %d keys and skipped %q, want 8 and none", len(set.Keys()), set.Skipped())
	}
	key, ok := set.Key(kid133)
	if !ok || key.Bits() != 4095 || key.ModulusBytes() != 512 || key.KID() != kid133 {
		t.Errorf("4095-bit key: got %v %+v, want 4095 bits, 512 bytes", ok, key)
	}
	if small, _ := set.Key("small"); small.Public().E != 3 {
		t.Errorf("got exponent %d, want 3", small.Public().E)
	}
	if _, ok := set.Key("K1"); ok {
		t.Error("found kid K1, want k1 only: kids are case-sensitive")
	}
}

func TestUselessKeysAreSkippedWithALine(t *testing.T) {
	for name, changes := range map[string]m{
		"EC":                {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
		"no kty":            {"kty": nil},
		"no kid":            {"kid": nil},
		"empty kid":         {"kid": ""},
		"number as kid":     {"kid": 5},
		"long kid":          {"kid": strings.Repeat("k", 257)},
		"encryption":        {"use": "enc"},
		"use of other type": {"use": 1},
		"PS512":             {"alg": "PS512"},
		"RSA-OAEP":          {"alg": "RSA-OAEP"},
		"HS512":             {"alg": "HS512"},
		"operations":        {"key_ops": []string{"encrypt"}},
	} {
		set, err := ParseSet([]byte(setOf(jwkWith(changes), jwkWith(m{"kid": "good"}))))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, ok := set.Key("good"); !ok || len(set.Keys()) != 1 || len(set.Skipped()) != 1 || !strings.HasPrefix(set.Skipped()[0], "key 1 of the set") {
			t.Errorf("%s: got %d keys and skipped %q, want 1 and 1", name, len(set.Keys()), set.Skipped())
		}
	}
	if set, err := ParseSet([]byte(setOf())); err != nil || len(set.Keys()) != 0 {
		t.Errorf("empty set: got %v, want no keys and no error", err)
	}
}

func TestSetsRefused(t *testing.T) {
	const secret = "U0VDUkVUU0VDUkVU"
	many := make([]string, maxSetKeys+1)
	for i := range many {
		many[i] = jwkWith(m{"kid": "k" + string(rune('A'+i))})
	}
	tests := map[string]struct{ set, want string }{
		"private in capitals":  {setOf(jwkWith(m{"DP": secret})), `"dp"`},
		"KEYS":                 {`{"keys":[],"KEYS":[]}`, "case"},
		"symmetric":            {setOf(jwkWith(m{"kty": "oct", "k": secret})), "symmetric"},
		"symmetric without k":  {setOf(jwkWith(m{"kty": "oct"})), "symmetric"},
		"private members":      {setOf(jwkWith(m{"oth": []m{{"d": secret}}})), `"oth"`},
		"private, a number":    {setOf(jwkWith(m{"d": 5})), `"d"`},
		"private and refused":  {setOf(jwkWith(m{"n": modulus(1024), "d": secret})), `"d"`},
		"UTF-32":               {"\xff\xfe\x00\x00" + setOf(), "UTF-32"},
		"private EC":           {setOf(jwkWith(m{"kty": "EC", "d": secret})), `"d"`},
		"private and skipped":  {setOf(jwkWith(m{"kid": nil, "d": secret})), `"d"`},
		"private, escaped":     {setOf(strings.Replace(jwkWith(m{"d": secret}), `"d"`, `"\u0064"`, 1)), `"d"`},
		"too many":             {setOf(many...), "101 keys"},
		"too long":             {setOf(jwkWith(m{"x": strings.Repeat("x", maxSetBytes)})), "bytes"},
		"name twice":           {setOf(`{"kty":"RSA","kty":"RSA"}`), "duplicate"},
		"keys twice":           {`{"keys":[],"keys":[]}`, "duplicate"},
		"a lone key":           {jwkWith(m{}), "form"},
		"array":                {`[]`, "form"},
		"null":                 {`null`, "form"},
		"keys null":            {`{"keys":null}`, "form"},
		"keys an object":       {`{"keys":{}}`, "form"},
		"HTML":                 {`<html></html>`, "form"},
		"empty":                {``, "form"},
		"trailing":             {setOf() + "{}", "form"},
		"deep":                 {`{"keys":[],"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, "levels"},
		"good beside private":  {setOf(jwkWith(m{"kid": "good"}), jwkWith(m{"p": secret})), `"p"`},
		"encryption, too long": {setOf(jwkWith(m{"use": "enc", "dq": secret})), `"dq"`},
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		tests["private "+private] = struct{ set, want string }{setOf(jwkWith(m{private: secret})), `"` + private + `"`}
	}
	for name, test := range tests {
		set, err := ParseSet([]byte(test.set))
		if err == nil || set != nil {
			t.Errorf("%s: set accepted, want an error", name)
			continue
		}
		if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %q, want it to contain %q and no key material", name, err, test.want)
		}
	}
}

func TestThumbprint(t *testing.T) {
	// RFC 7638 §3.1.
	const n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
	set, err := ParseSet([]byte(setOf(jwkWith(m{"n": n}))))
	if err != nil {
		t.Fatal(err)
	}
	if got := set.Keys()[0].Thumbprint(); got != "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs" {
		t.Errorf("got thumbprint %s, want that of RFC 7638", got)
	}
}

func TestParsePublicPEM(t *testing.T) {
	signer := testSigner(t, "k0")
	public := signer.Key().Public()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecDER, err := x509.MarshalPKIXPublicKey(&ec.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "epr"}, NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, public, signer.private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for name, data := range map[string][]byte{
		"PKIX": publicPEM(t, signer), "PKCS #1": block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(public)),
		"certificate": block("CERTIFICATE", certificate), "text before": append([]byte("my key\n"), publicPEM(t, signer)...),
	} {
		key, err := ParsePublicPEM("k0", data)
		if err != nil || key.Thumbprint() != signer.Key().Thumbprint() || key.KID() != "k0" {
			t.Errorf("%s: got error %v, want key k0", name, err)
		}
	}
	small := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	for name, test := range map[string]struct {
		kid  string
		data []byte
		want string
	}{
		"private":         {"k0", signer.MarshalPEM(), "private key"},
		"PKCS #1 private": {"k0", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(signer.private)), "private key"},
		"EC":              {"k0", block("PUBLIC KEY", ecDER), "not RSA"},
		"no PEM":          {"k0", []byte("AAAA"), "PEM"},
		"garbage":         {"k0", block("PUBLIC KEY", []byte("x")), "PUBLIC KEY"},
		"garbage cert":    {"k0", block("CERTIFICATE", []byte("x")), "CERTIFICATE"},
		"another block":   {"k0", block("SSH", []byte("x")), `"SSH"`},
		"1024 bits":       {"k0", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(small)), "1024 bits"},
		"no kid":          {"", publicPEM(t, signer), "kid"},
	} {
		if _, err := ParsePublicPEM(test.kid, test.data); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error that contains %q", name, err, test.want)
		}
	}
}

func TestSignerPEMAndSet(t *testing.T) {
	signer := testSigner(t, "k0")
	pkcs1 := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(signer.private)})
	for name, data := range map[string][]byte{"PKCS #8": signer.MarshalPEM(), "PKCS #1": pkcs1} {
		again, err := ParseSigner("k9", data)
		if err != nil || again.KID() != "k9" || again.Key().Thumbprint() != signer.Key().Thumbprint() {
			t.Errorf("%s: got error %v, want signer k9 with the same key", name, err)
		}
	}
	for name, data := range map[string][]byte{
		"public": publicPEM(t, signer), "nothing": nil, "garbage": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY"}),
		"encrypted": pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY"}),
	} {
		if _, err := ParseSigner("k0", data); err == nil {
			t.Errorf("%s: accepted, want an error", name)
		}
	}
	if _, err := NewSigner("", signer.private); err == nil {
		t.Error("signer without a kid: got no error, want one")
	}
	broken := *signer.private
	broken.D = big.NewInt(3)
	if _, err := NewSigner("k0", &broken); err == nil {
		t.Error("signer with an inconsistent key: got no error, want one")
	}
	set, err := ParseSet(publicSet(t, signer, testSigner(t, "k1")))
	if err != nil || len(set.Keys()) != 2 || len(set.Skipped()) != 0 {
		t.Fatalf("published set: got error %v, want 2 keys, none skipped", err)
	}
	var raw struct{ Keys []map[string]string }
	alone, err := signer.PublicSet()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(alone, &raw); err != nil {
		t.Fatal(err)
	}
	if k := raw.Keys[0]; k["kid"] != "k0" || k["alg"] != "RS512" || k["use"] != "sig" || k["d"] != "" || len(k) != 6 {
		t.Errorf("got published key %v, want kid k0, alg RS512, use sig and no d", k)
	}
}
