package jwks

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestSetsOfLibraries reads sets as libraries and editors were seen to write them. All hold the key a-1.
func TestSetsOfLibraries(t *testing.T) {
	paths, err := filepath.Glob("testdata/wild/*.json")
	if err != nil || len(paths) < 8 {
		t.Fatalf("got %d sets, %v, want at least 8", len(paths), err)
	}
	leftOut := map[string]string{"jwks-weak-beside-good.json": `"old"`, "jwks-e-number.json": `"a-1"`}
	for _, path := range paths {
		name := filepath.Base(path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		set, err := ParseSet(data)
		if err != nil {
			t.Errorf("%s: got %v, want a set", name, err)
			continue
		}
		want := []string{"a-1"}
		if name == "jwks-e-number.json" {
			want = nil // the only key of this set cannot be used
		}
		var kids []string
		for _, key := range set.Keys() {
			kids = append(kids, key.KID())
		}
		if !slices.Equal(kids, want) {
			t.Errorf("%s: got keys %q, want %q", name, kids, want)
		}
		if kid := leftOut[name]; (kid != "") != (len(set.Skipped()) == 1) || kid != "" && !strings.Contains(set.Skipped()[0], kid) {
			t.Errorf("%s: got left out %q, want %q", name, set.Skipped(), kid)
		}
	}
}

// TestOneKeyDoesNotCostTheSet: each of these is left out, named by its kid and the reason, and the key beside it is used.
func TestOneKeyDoesNotCostTheSet(t *testing.T) {
	for name, c := range map[string]struct {
		key, why string
	}{
		"too long":            {jwkWith(m{"n": modulus(8193)}), "8193 bits"},
		"too short":           {jwkWith(m{"n": modulus(2047)}), "2047 bits"},
		"even modulus":        {jwkWith(m{"n": base64.RawURLEncoding.EncodeToString(append([]byte{0xff}, make([]byte, 511)...))}), "even"},
		"no modulus":          {jwkWith(m{"n": nil}), "missing"},
		"modulus not base64":  {jwkWith(m{"n": "@@@"}), "n or e"},
		"modulus a number":    {jwkWith(m{"n": 5}), "n or e"},
		"exponent a number":   {jwkWith(m{"e": 65537}), "AQAB"},
		"no exponent":         {jwkWith(m{"e": nil}), "missing"},
		"exponent 1":          {jwkWith(m{"e": "AQ"}), "exponent"},
		"exponent 2":          {jwkWith(m{"e": "Ag"}), "exponent"},
		"exponent 0":          {jwkWith(m{"e": "AA"}), "exponent"},
		"even exponent":       {jwkWith(m{"e": "AQAA"}), "exponent"},
		"exponent 2^31+1":     {jwkWith(m{"e": "gAAAAQ"}), "exponent"},
		"exponent 2^64+3":     {jwkWith(m{"e": "AQAAAAAAAAAD"}), "exponent"},
		"a certificate alone": {jwkWith(m{"n": nil, "e": nil, "x5c": []string{"MIIB"}}), "x5c"},
		"an unknown type":     {jwkWith(m{"kty": "AKP"}), `"AKP"`},
	} {
		set, err := ParseSet([]byte(setOf(c.key, jwkWith(m{"kid": "good"}))))
		if err != nil {
			t.Errorf("%s: got %v, want a set", name, err)
			continue
		}
		if _, ok := set.Key("good"); !ok || len(set.Keys()) != 1 || len(set.Skipped()) != 1 ||
			!strings.Contains(set.Skipped()[0], `"k1"`) || !strings.Contains(set.Skipped()[0], c.why) {
			t.Errorf("%s: got %d keys and left out %q, want the good one, and k1 with %q", name, len(set.Keys()), set.Skipped(), c.why)
		}
		if err := set.without("k1"); !errors.Is(err, ErrUnknownKID) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: got %v for its kid, want ErrUnknownKID with %q", name, err, c.why)
		}
	}
	set, err := ParseSet([]byte(`{"keys":["x",null,` + jwkWith(m{}) + `]}`))
	if err != nil || len(set.Keys()) != 1 || len(set.Skipped()) != 2 {
		t.Errorf("values that are no keys: got %v, want 1 key and 2 left out", err)
	}
}

// TestEmptyMembersAreAbsent: .NET and others write members that hold nothing.
func TestEmptyMembersAreAbsent(t *testing.T) {
	for _, empty := range []string{`null`, `""`, `[]`, `{ }`} {
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "use", "key_ops", "alg", "x5c", "DP"} {
			key := strings.Replace(jwkWith(m{}), "{", fmt.Sprintf(`{%q:%s,`, name, empty), 1)
			if set, err := ParseSet([]byte(setOf(key))); err != nil || len(set.Keys()) != 1 {
				t.Errorf("%s is %s: got %v, want the key", name, empty, err)
			}
		}
	}
}

func TestOneKIDOneKey(t *testing.T) {
	same, other := jwkWith(m{"alg": "RS256"}), jwkWith(m{"n": modulus(4095)})
	for name, c := range map[string]struct {
		keys []string
		used bool
		out  int
	}{
		"the same key twice":             {[]string{same, jwkWith(m{"alg": "RS512"})}, true, 0},
		"and once for encryption":        {[]string{same, jwkWith(m{"use": "enc"})}, true, 1},
		"two keys":                       {[]string{same, other}, false, 2},
		"two keys, the first again":      {[]string{same, other, same}, false, 3},
		"with one that cannot be used":   {[]string{same, other, jwkWith(m{"n": modulus(1024)}), same}, false, 4},
		"the same and another afterward": {[]string{same, same, other}, false, 2},
	} {
		set, err := ParseSet([]byte(setOf(append(c.keys, jwkWith(m{"kid": "good"}))...)))
		if err != nil {
			t.Errorf("%s: got %v, want a set", name, err)
			continue
		}
		_, good := set.Key("good")
		if _, used := set.Key("k1"); used != c.used || !good || len(set.Skipped()) != c.out {
			t.Errorf("%s: got k1 used %v, the other %v, left out %q, want %v, true, %d lines", name, used, good, set.Skipped(), c.used, c.out)
		}
		if err := set.without("k1"); !c.used && !errors.Is(err, errTwoKeys) {
			t.Errorf("%s: got %v, want errTwoKeys", name, err)
		}
	}
}

func TestEncodingsOfFiles(t *testing.T) {
	signer := testSigner(t, "k0")
	set, public, private := publicSet(t, signer), publicPEM(t, signer), signer.MarshalPEM()
	for name, as := range map[string]func([]byte) []byte{
		"CRLF":   func(text []byte) []byte { return []byte(strings.ReplaceAll(string(text), "\n", "\r\n")) },
		"mark":   func(text []byte) []byte { return append([]byte("\xef\xbb\xbf"), text...) },
		"UTF-16": func(text []byte) []byte { return utf16File(string(text)) },
	} {
		if read, err := ParseSet(as(set)); err != nil || len(read.Keys()) != 1 {
			t.Errorf("%s set: got %v, want the key", name, err)
		}
		if _, err := ParsePublicPEM("k0", as(public)); err != nil {
			t.Errorf("%s public key: got %v, want the key", name, err)
		}
		if _, err := ParseSigner("k0", as(private)); err != nil {
			t.Errorf("%s private key: got %v, want the key", name, err)
		}
	}
	const traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"
	if _, err := ParseSigner("k0", []byte(traditional)); err == nil || !strings.Contains(err.Error(), "encrypted") {
		t.Errorf("traditional encrypted key: got %v, want an error that calls it encrypted", err)
	}
	if _, err := ParsePublicPEM("k0", append([]byte("# "), public...)); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("key commented out: got %v, want an error with its line", err)
	}
}

// utf16File is a text as PowerShell redirects it to a file.
func utf16File(text string) []byte {
	data := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		data = binary.LittleEndian.AppendUint16(data, unit)
	}
	return data
}
