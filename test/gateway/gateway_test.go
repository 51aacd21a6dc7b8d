package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const plain = `{
	default_bind 127.0.0.1
	auto_https off
}

http://localhost:{$PORT_WEB} {
	respond "first"
}
`

func TestGatewayStartsStopsRestartsAndReloads(t *testing.T) {
	g := gateway.Start(t, plain)
	get := func() string { // by a connection of its own: one that was kept may lead to the old configuration
		t.Helper()
		return string(gateway.Get(t, g.URL("WEB", "/"), nil).Body)
	}
	if said := get(); said != "first" {
		t.Fatalf("it says %q", said)
	}
	address := g.URL("WEB", "/")
	g.Stop()
	if response, err := http.Get(address); err == nil {
		response.Body.Close()
		t.Fatal("it answers after Stop")
	}
	g.Restart()
	g.Kill()
	g.Restart()
	if g.URL("WEB", "/") != address || get() != "first" {
		t.Fatal("it came back otherwise")
	}
	g.Reload(strings.Replace(plain, "first", "second", 1))
	if said := get(); said != "second" {
		t.Fatalf("after a reload it says %q", said)
	}
	if err := g.TryReload(strings.Replace(plain, "respond", "no_such_directive", 1)); err == nil || !strings.Contains(err.Error(), "no_such_directive") {
		t.Fatalf("a bad configuration: %v", err)
	}
	if n := strings.Count(g.Output(), "using config from file"); n != 3 { // said before anything is served
		t.Errorf("the output tells of %d starts, want 3", n)
	}
}

func TestJWTIsWhatOpenSSLVerifies(t *testing.T) {
	key := gateway.NewKey(t, 2048)
	jwt := key.JWT(t, map[string]any{"alg": "RS512"}, map[string]any{"iss": "x"})
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("%d parts", len(parts))
	}
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !json.Valid(claims) {
		t.Fatalf("claims: %v %s", err, claims)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "signature")
	if err := os.WriteFile(file, signature, 0o600); err != nil {
		t.Fatal(err)
	}
	verify := []string{"dgst", "-sha512", "-verify", key.Public, "-signature", file}
	if _, err := gateway.Run([]byte(parts[0]+"."+parts[1]), "openssl", verify...); err != nil {
		t.Error(err)
	}
	if _, err := gateway.Run([]byte(parts[0]+"."+parts[1]+"x"), "openssl", verify...); err == nil {
		t.Error("a changed input verifies")
	}
	if jwk := key.JWK(t, "k1"); len(jwk["n"]) != 342 || jwk["kid"] != "k1" {
		t.Errorf("JWK %v", jwk)
	}
}

// The verifiers must be able to say no, for a right signature of the wrong thing as for a wrong one.
func TestVerifiers(t *testing.T) {
	key := gateway.NewKey(t, 2048)
	certificate, err := exec.Command("openssl", "req", "-new", "-x509", "-key", key.Private, "-subj", "/CN=card", "-outform", "DER").Output()
	if err != nil {
		t.Fatal(err)
	}
	for algorithm, sign := range map[string][]string{
		"RS1":   {"-sha1"},
		"RS256": {"-sha256"},
		"PS256": {"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"},
	} {
		t.Run(algorithm, func(t *testing.T) {
			document := gateway.NewDocument(algorithm, "rx-1")
			signature, err := gateway.Run(document.SignedInfo, "openssl", append(append([]string{"dgst"}, sign...), "-sign", key.Private)...)
			if err != nil {
				t.Fatal(err)
			}
			v := gateway.NewVerifier(t, algorithm, base64.StdEncoding.EncodeToString(certificate))
			if err := v.Verify(document.SignedInfo, signature); err != nil {
				t.Error(err)
			}
			if v.Verify(append(document.SignedInfo, ' '), signature) == nil {
				t.Error("a changed payload verifies")
			}
			if algorithm == "PS256" {
				return // this xmlsec1 knows no PSS
			}
			signed := document.Signed(base64.StdEncoding.EncodeToString(signature))
			if err := v.VerifyXML(signed); err != nil {
				t.Error(err)
			}
			if v.VerifyXML([]byte(strings.Replace(string(signed), "500mg", "900mg", 1))) == nil {
				t.Error("a changed prescription verifies")
			}
			signature[9] ^= 1
			if v.Verify(document.SignedInfo, signature) == nil || v.VerifyXML(document.Signed(base64.StdEncoding.EncodeToString(signature))) == nil {
				t.Error("a changed signature verifies")
			}
		})
	}
}

// The sizes that were seen in the wild (SIG-2.10).
func TestPayloadsAreAsPrescribingSystemsSendThem(t *testing.T) {
	for algorithm, size := range map[string]int{"RS1": 517, "RS256": 541} {
		if n := len(gateway.SignedInfo(algorithm, "", []byte("x"))); n != size {
			t.Errorf("%s: a SignedInfo of %d bytes, want %d", algorithm, n, size)
		}
	}
}
