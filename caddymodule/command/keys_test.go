package command

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

const bookingScope = oauth.ScopePrefix + "booking-and-referral"

// shortKey is one of 2048 bits, which is made once, since making one takes long.
var shortKey = sync.OnceValue(func() *jwks.Signer {
	private, err := jwks.GenerateRSA(2048, nil)
	if err != nil {
		panic(err)
	}
	signer, err := jwks.NewSigner("acme-INT-1", private)
	if err != nil {
		panic(err)
	}
	return signer
})

// write puts a file into a directory and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestKeygenAndJWKS(t *testing.T) {
	dir := t.TempDir()
	said := execute(t, keygenCommand(), "MySupplier-INT-1", "--dir", dir, "--bits", "2048", "--json")
	var made generated
	said.json(t, &made)
	if said.err != nil || made.Bits != 2048 || made.Advice != "" {
		t.Fatalf("%+v %v", made, said.err)
	}
	if info, err := os.Stat(made.Private); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key's mode: %v %v", info, err)
	}
	signer, err := jwks.ParseSigner("MySupplier-INT-1", []byte(read(t, made.Private)))
	if err != nil {
		t.Fatal(err)
	}
	set, err := jwks.ParseSet([]byte(read(t, made.Set)))
	if err != nil {
		t.Fatal(err)
	}
	key, ok := set.Key("MySupplier-INT-1")
	if !ok || key.Thumbprint() != signer.Key().Thumbprint() || strings.Contains(read(t, made.Set), `"d"`) {
		t.Errorf("the set is %s", read(t, made.Set))
	}
	// A second run would lose the key.
	before := read(t, made.Private)
	if said := execute(t, keygenCommand(), "MySupplier-INT-1", "--dir", dir, "--bits", "2048"); said.err == nil || read(t, made.Private) != before {
		t.Errorf("it was made again: %v", said.err)
	}
	for name, args := range map[string][]string{
		"a path":    {"../x"},
		"no word":   {"a b"},
		"too short": {"x", "--bits", "1024"},
		"nothing":   {},
	} {
		if said := execute(t, keygenCommand(), append(args, "--dir", dir)...); said.err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	odd := execute(t, keygenCommand(), "odd", "--dir", dir, "--bits", "2048")
	mustSay(t, odd.stderr, "MySupplier-INT-1", "works nevertheless")

	// The set of several keys, whichever half the files hold.
	said = execute(t, jwksCommand(), "a", made.Private, "b", made.Public)
	set, err = jwks.ParseSet([]byte(said.stdout))
	if err != nil || len(set.Keys()) != 2 || said.err != nil {
		t.Errorf("%v %s", err, said.stdout)
	}
	mustSay(t, said.stderr, "2048 bits")
	if said := execute(t, jwksCommand(), "a", made.Private, "a", made.Public); said.err == nil {
		t.Error("one kid for two keys")
	}
	if said := execute(t, jwksCommand(), "a"); said.err == nil {
		t.Error("a kid without a file")
	}
}

func TestClientCommand(t *testing.T) {
	dir := t.TempDir()
	signer := shortKey()
	public, err := publicPEM(signer.Key())
	if err != nil {
		t.Fatal(err)
	}
	pem := write(t, dir, "acme.pem", string(public))
	said := execute(t, clientCommand(), "acme", pem, "--name", "Acme EPR", "--callback", "https://epr.example/signed", "--products", "signing,booking")
	want := "client acme {\n\tname \"Acme EPR\"\n\tkey acme-INT-1 " + pem + "\n\tcallback https://epr.example/signed\n\tproducts signing booking\n}\n"
	if said.err != nil || said.stdout != want {
		t.Errorf("%v\n%s", said.err, said.stdout)
	}
	mustSay(t, said.stderr, "Key acme-INT-1: RSA, 2048 bits", "signing requests need 4096")

	// Appended once only.
	file := write(t, dir, "clients.caddy", "client other {\n}")
	for i, fails := range []bool{false, true} {
		if said := execute(t, clientCommand(), "acme", pem, "--append", file, "--kid", "acme-1"); (said.err != nil) != fails {
			t.Errorf("run %d: %v", i, said.err)
		}
	}
	if got := read(t, file); got != "client other {\n}\n\nclient acme {\n\tkey acme-1 "+pem+"\n}\n" {
		t.Errorf("the file is\n%s", got)
	}

	jwk := func(change func(map[string]any)) string {
		var members map[string]any
		text, _ := json.Marshal(jwkOf(signer.Key()))
		_ = json.Unmarshal(text, &members)
		change(members)
		text, _ = json.Marshal(map[string]any{"keys": []any{members}})
		return string(text)
	}
	named := write(t, dir, "named.json", jwk(func(map[string]any) {}))
	var answer registered
	execute(t, clientCommand(), "acme", named, "--json").json(t, &answer)
	if !strings.Contains(answer.Block, "\tjwks "+named+"\n") || len(answer.Keys) != 1 || answer.Keys[0].KID != "acme-INT-1" {
		t.Errorf("%+v", answer)
	}
	nameless := write(t, dir, "nameless.json", jwk(func(m map[string]any) { delete(m, "kid"); delete(m, "alg") }))
	answer = registered{}
	said = execute(t, clientCommand(), "acme", nameless, "--kid", "acme-PROD-2", "--json")
	said.json(t, &answer)
	if said.err != nil || len(answer.Keys) != 1 || answer.Keys[0].KID != "acme-PROD-2" {
		t.Errorf("%+v %v", answer, said.err)
	}
	if set, err := jwks.ParseSet([]byte(read(t, filepath.Join(dir, "nameless.named.json")))); err != nil || len(set.Keys()) != 1 {
		t.Errorf("the completed set: %v", err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"a private key":     {string(signer.MarshalPEM()), "private key, which only the client may have"},
		"private members":   {jwk(func(m map[string]any) { m["d"] = "AQAB" }), `has the private member "d"`},
		"an exponent of 1":  {jwk(func(m map[string]any) { m["e"] = "AQ" }), "exponent"},
		"a short key":       {jwk(func(m map[string]any) { m["n"] = m["n"].(string)[:171] }), "bits"},
		"an elliptic key":   {jwk(func(m map[string]any) { m["kty"] = "EC" }), "no usable key"},
		"no key":            {"hello", "no PEM block"},
		"an empty key set":  {`{"keys":[]}`, "no usable key"},
		"two without a kid": {`{"keys":[{"kty":"RSA"},{"kty":"RSA"}]}`, "several keys have no kid"},
	} {
		said := execute(t, clientCommand(), "acme", write(t, dir, "bad", c.text), "--json")
		if said.err == nil || !strings.Contains(said.stdout, strings.ReplaceAll(c.want, `"`, `\"`)) {
			t.Errorf("%s: %v %s", name, said.err, said.stdout)
		}
	}
	if said := execute(t, clientCommand(), "a b", pem); said.err == nil {
		t.Error("an id of two words")
	}
}

func TestTokenCommand(t *testing.T) {
	var tokenURL string
	service, err := oauth.New(oauth.Options{
		BaseURL: func(*http.Request) (string, error) { return strings.TrimSuffix(tokenURL, "/token"), nil },
		Clients: map[string]oauth.Client{"acme": {Scopes: []string{bookingScope}}},
		Keys:    keysOf{shortKey()}, Store: memory.New(memory.Options{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(service)
	defer server.Close()
	tokenURL = server.URL + "/token"
	dir := t.TempDir()
	key := write(t, dir, "key.pem", string(shortKey().MarshalPEM()))
	run := func(args ...string) outcome {
		t.Helper()
		return execute(t, tokenCommand(), append([]string{"--url", tokenURL, "--client", "acme", "--kid", "acme-INT-1", "--key", key}, args...)...)
	}
	said := run()
	if said.err != nil || len(strings.TrimSpace(said.stdout)) != 28 {
		t.Errorf("%v %q", said.err, said.stdout)
	}
	mustSay(t, said.stderr, "A token for acme, good for 599 seconds")
	var got gotToken
	run("--json").json(t, &got)
	if len(got.Token) != 28 || got.ExpiresIn < 590 {
		t.Errorf("%+v", got)
	}
	said = run("--kid", "other")
	if !errors.Is(said.err, errTold) || said.stdout != "" {
		t.Errorf("%v %q", said.err, said.stdout)
	}
	mustSay(t, said.stderr, "no matching public key", "What to do: the kid is not in the key set")
	var refusal gotRefusal
	run("--audience", "https://elsewhere.example/token", "--json").json(t, &refusal)
	if refusal.Status != 401 || refusal.Fix == "" || refusal.MessageID == "" || !strings.Contains(refusal.Description, "'aud'") {
		t.Errorf("%+v", refusal)
	}
	said = run("--assertion")
	if assertion, err := jwks.Parse([]byte(strings.TrimSpace(said.stdout))); err != nil || assertion.Header.KID != "acme-INT-1" {
		t.Errorf("%v %s", err, said.stdout)
	}
	server.Close()
	if said := run(); said.err == nil || said.stdout != "" {
		t.Error("a service that is away gives a token")
	}
	if said := run("--key", filepath.Join(dir, "none.pem")); said.err == nil {
		t.Error("a key that is not there gives a token")
	}
}

// keysOf is a key source with one key.
type keysOf struct{ signer *jwks.Signer }

func (k keysOf) Key(_ context.Context, _, kid string) (*jwks.Key, error) {
	if kid == k.signer.KID() {
		return k.signer.Key(), nil
	}
	return nil, jwks.ErrUnknownKID
}

// The rule for kids (BAR-4.1).
func TestKIDAdvice(t *testing.T) {
	for kid, good := range map[string]bool{
		"MySupplier-INT-1": true, "RX7-PROD-12": true, "A-Sandbox-1": true, "My-Long-Supplier-DEV-3": true,
		"MySupplier-INT-01": false, "MySupplier-int-1": false, "-INT-1": false, "MySupplier-INT": false, "acme-1": false,
		strings.Repeat("x", 64) + "-INT-1": false,
	} {
		if (kidAdvice(kid) == "") != good {
			t.Errorf("%s: %q", kid, kidAdvice(kid))
		}
	}
}
