package jwks

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	// As a careful operator does it: write a new file and rename it over the old one, so that the inode changes.
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func publicSet(t *testing.T, signers ...*Signer) []byte {
	t.Helper()
	data, err := PublicSet(signers...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRegistryOfFiles(t *testing.T) {
	dir := t.TempDir()
	pemPath, setPath := filepath.Join(dir, "k0.pem"), filepath.Join(dir, "set.json")
	a, b, c := testSigner(t, "k0"), testSigner(t, "k1"), testSigner(t, "k2")
	writeFile(t, pemPath, publicPEM(t, a))
	writeFile(t, setPath, publicSet(t, b))
	now := time.Unix(1700000000, 0)
	var logged bytes.Buffer
	registry, err := NewRegistry([]ClientKeys{
		{Client: "epr", SetFiles: []string{setPath}, Keys: []KeyFile{{KID: "k0", Path: pemPath}}},
		{Client: "bare"},
	}, nil, RegistryOptions{Now: func() time.Time { return now }, Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(when, client, kid, thumbprint string, want error) {
		t.Helper()
		key, err := registry.Key(t.Context(), client, kid)
		if !errors.Is(err, want) || err == nil && key.Thumbprint() != thumbprint {
			t.Errorf("%s: key %s of %s: got %v, want %v", when, kid, client, err, want)
		}
	}
	expect("at first", "epr", "k0", a.Key().Thumbprint(), nil)
	expect("at first", "epr", "k1", b.Key().Thumbprint(), nil)
	expect("at first", "epr", "k2", "", ErrUnknownKID)
	expect("at first", "epr", "", "", ErrUnknownKID)
	expect("at first", "bare", "k0", "", ErrNoKeys)
	expect("at first", "stranger", "k0", "", ErrUnknownClient)

	writeFile(t, setPath, publicSet(t, b, c))
	expect("before a second is over", "epr", "k2", "", ErrUnknownKID)
	now = now.Add(time.Second)
	expect("after a second", "epr", "k2", c.Key().Thumbprint(), nil)

	// An invalid file, and then none, leaves the keys in place, and each change is logged once.
	for _, spoil := range []func(){
		func() { writeFile(t, setPath, []byte(`{"keys":[{"kty":"oct","k":"AAAA"}]}`)) },
		func() {
			if err := os.Remove(setPath); err != nil {
				t.Fatal(err)
			}
		},
	} {
		spoil()
		logged.Reset()
		for range 3 {
			now = now.Add(time.Second)
			expect("spoiled", "epr", "k2", c.Key().Thumbprint(), nil)
		}
		if n := strings.Count(logged.String(), "level=WARN"); n != 1 || !strings.Contains(logged.String(), setPath) ||
			!strings.Contains(logged.String(), "client=epr") {
			t.Errorf("got %d warnings, want 1 that names the client and %s: %s", n, setPath, logged.String())
		}
	}
	for _, s := range registry.Status() {
		if s.Client != "epr" || (s.Source == setPath) != (s.Error != "") || len(s.Keys) == 0 || s.Age(now) <= 0 {
			t.Errorf("status: got %+v, want keys of epr, and an error for the spoiled file only", s)
		}
	}

	writeFile(t, setPath, publicSet(t, b))
	now = now.Add(time.Second)
	expect("mended", "epr", "k2", "", ErrUnknownKID)
	expect("mended", "epr", "k1", b.Key().Thumbprint(), nil)
}

func TestRegistryCanUseCryptoRSA(t *testing.T) {
	path := filepath.Join(t.TempDir(), "k0.pem")
	writeFile(t, path, publicPEM(t, testSigner(t, "k0")))
	registry, err := NewRegistry([]ClientKeys{{Client: "epr", Keys: []KeyFile{{"k0", path}}}}, nil, RegistryOptions{CryptoRSA: true})
	if err != nil {
		t.Fatal(err)
	}
	key, err := registry.Key(t.Context(), "epr", "k0")
	if err != nil || !key.cryptoRSA {
		t.Errorf("got key %+v and error %v, want a key verified by crypto/rsa", key, err)
	}
}

func TestNewRegistryNamesClientAndFile(t *testing.T) {
	dir := t.TempDir()
	private, good, huge := filepath.Join(dir, "private.pem"), filepath.Join(dir, "k0.pem"), filepath.Join(dir, "huge.json")
	writeFile(t, private, testSigner(t, "k0").MarshalPEM())
	writeFile(t, good, publicPEM(t, testSigner(t, "k0")))
	writeFile(t, huge, bytes.Repeat([]byte(" "), maxSetBytes+1))
	cache := NewCache(nil, CacheOptions{})
	defer cache.Close()
	for name, test := range map[string]struct {
		keys []ClientKeys
		want []string
	}{
		"missing file": {[]ClientKeys{{Client: "epr", SetFiles: []string{"/nowhere/set.json"}}}, []string{`"epr"`, "/nowhere/set.json"}},
		"private key":  {[]ClientKeys{{Client: "epr", Keys: []KeyFile{{"k0", private}}}}, []string{`"epr"`, private, "private key"}},
		"no kid":       {[]ClientKeys{{Client: "epr", Keys: []KeyFile{{"", good}}}}, []string{`"epr"`, good, "kid"}},
		"a directory":  {[]ClientKeys{{Client: "epr", SetFiles: []string{dir}}}, []string{dir, "regular file"}},
		"huge":         {[]ClientKeys{{Client: "epr", SetFiles: []string{huge}}}, []string{huge, "larger than"}},
		"PEM as set":   {[]ClientKeys{{Client: "epr", SetFiles: []string{good}}}, []string{good, "key set"}},
		"kid twice":    {[]ClientKeys{{Client: "epr", Keys: []KeyFile{{"k0", good}, {"k0", good}}}}, []string{`"epr"`, `"k0"`}},
		"client twice": {[]ClientKeys{{Client: "epr"}, {Client: "epr"}}, []string{`"epr"`, "twice"}},
		"no URL":       {[]ClientKeys{{Client: "epr", URL: "keys.example/set"}}, []string{`"epr"`, "URL"}},
		"user in URL":  {[]ClientKeys{{Client: "epr", URL: "https://u:hunter2@keys.example/set"}}, []string{`"epr"`, "user name"}},
	} {
		_, err := NewRegistry(test.keys, cache, RegistryOptions{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want an error without the password", name, err)
			continue
		}
		for _, part := range test.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %q, want it to contain %q", name, err, part)
			}
		}
	}
	if _, err := NewRegistry([]ClientKeys{{Client: "epr", URL: "https://keys.example/"}}, nil, RegistryOptions{}); err == nil {
		t.Error("client with a URL but no cache: got no error, want one")
	}
}
