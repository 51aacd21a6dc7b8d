package journey_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// oddKid is a kid as registered keys have them: 133 characters, with those of standard base64.
var oddKid = strings.Repeat("aB3+/", 26) + "+/="

// keySet is a client's published key set, on a server that the test owns.
type keySet struct {
	*httptest.Server

	mu      sync.Mutex
	body    []byte
	fetches int
}

func newKeySet(t *testing.T, keys ...map[string]string) *keySet {
	t.Helper()
	k := &keySet{}
	k.publish(t, keys...)
	k.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.fetches++
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(k.body)
	}))
	t.Cleanup(k.Close)
	return k
}

func (k *keySet) publish(t *testing.T, keys ...map[string]string) {
	t.Helper()
	k.set(marshal(t, map[string]any{"keys": keys}))
}

func (k *keySet) set(body []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.body = body
}

func (k *keySet) fetched() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fetches
}

func (k *keySet) url() string {
	return strings.Replace(k.URL, "127.0.0.1", "localhost", 1) + "/jwks.json"
}

// answer sends a fresh request signed by key under kid.
func answer(t *testing.T, s gateway.System, key gateway.Key, kid string) gateway.Answer {
	t.Helper()
	s.Key, s.Kid = key, kid
	return s.Post(t, s.JWT(t, "RS256", gateway.Payloads("RS256", 1)...), "")
}

func mustTake(t *testing.T, answer gateway.Answer) {
	t.Helper()
	if answer.Status != http.StatusOK {
		t.Fatalf("%d %s", answer.Status, answer.Body)
	}
}

// Keys change without a restart; unknown kids do not become fetches; what is bad replaces nothing good.
func TestKeySetByURL(t *testing.T) {
	t.Parallel()                    // it waits for a minute: an unknown kid does not cause a fetch more often
	next := gateway.NewKey(t, 4095) // registered keys with 4095-bit moduli exist
	set := newKeySet(t, acmeKey.JWK(t, oddKid))
	w := newWorld(t, options{client: "jwks " + set.url()})
	s := w.system("main")

	mustTake(t, answer(t, s, acmeKey, oddKid))
	set.publish(t, acmeKey.JWK(t, oddKid), next.JWK(t, "next"))
	before, began := set.fetched(), time.Now()
	system := s
	system.Key, system.Kid = next, "next"
	rotated := system.JWT(t, "RS256", gateway.Payloads("RS256", 1)...)
	if !gateway.Eventually(patience, func() bool { return s.Post(t, rotated, "").Status == http.StatusOK }) {
		t.Fatal("the new key is never taken")
	}
	if took := time.Since(began); took > 100*time.Second { // a minute, and what a busy machine adds
		t.Errorf("the new key was taken after %s", took)
	}
	for range 20 {
		mustRefuse(t, answer(t, s, acmeKey, "made-up"), refusal{401, "kid", ""})
	}
	if n := set.fetched() - before; n > 1+int(time.Since(began)/time.Minute) {
		t.Errorf("unknown kids caused %d fetches in %s", n, time.Since(began))
	}

	for name, bad := range map[string]string{
		"not JSON":           "<html>",
		"a symmetric key":    `{"keys":[{"kty":"oct","kid":"x","k":"c2VjcmV0"}]}`,
		"the same kid twice": string(marshal(t, map[string]any{"keys": []any{acmeKey.JWK(t, "d"), next.JWK(t, "d")}})),
	} {
		set.set([]byte(bad))
		w.Stop()
		w.Restart() // a fresh process has to make do with the bad set
		if got := answer(t, s, acmeKey, oddKid); got.Status == http.StatusOK || got.Status == http.StatusInternalServerError {
			t.Errorf("%s: %d %s", name, got.Status, got.Body)
		}
	}
	set.publish(t, acmeKey.JWK(t, oddKid))
	w.Stop()
	w.Restart()
	mustTake(t, answer(t, s, acmeKey, oddKid))
	set.set([]byte("<html>"))
	mustRefuse(t, answer(t, s, next, "next"), refusal{401, "kid", ""}) // makes it look, and find the bad set
	mustTake(t, answer(t, s, acmeKey, oddKid))
}

// A key set that cannot be reached does not stop the gateway from starting, nor the other clients.
func TestKeySetOutOfReach(t *testing.T) {
	w := newWorld(t, options{client: "jwks http://localhost:9/jwks.json"})
	s := w.system("main")
	if got := answer(t, s, acmeKey, "acme-1"); got.Status != http.StatusUnauthorized && got.Status != http.StatusServiceUnavailable {
		t.Errorf("a client without reachable keys: %d %s", got.Status, got.Body)
	}
	s.ID, s.Kid = "pss", "pss-1"
	if got := s.Post(t, s.JWT(t, "PS256", gateway.Payloads("PS256", 1)...), ""); got.Status != http.StatusOK {
		t.Errorf("another client: %d %s", got.Status, got.Body)
	}
}

// Key files are read again when they change; a bad one replaces nothing.
func TestKeyFilesChangeWithoutARestart(t *testing.T) {
	next := gateway.NewKey(t, 4096)
	file := filepath.Join(t.TempDir(), "acme.jwks.json")
	write := func(text []byte) {
		t.Helper()
		if err := os.WriteFile(file+".new", text, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	keys := func(keys ...map[string]string) []byte { return marshal(t, map[string]any{"keys": keys}) }
	write(keys(acmeKey.JWK(t, "one")))
	w := newWorld(t, options{client: "jwks " + file})
	s := w.system("main")
	mustTake(t, answer(t, s, acmeKey, "one"))
	write(keys(next.JWK(t, "two")))
	if !gateway.Eventually(patience, func() bool { return answer(t, s, next, "two").Status == http.StatusOK }) {
		t.Fatal("the new key is never taken")
	}
	if !gateway.Eventually(patience, func() bool { return answer(t, s, acmeKey, "one").Status == http.StatusUnauthorized }) {
		t.Error("the removed key is taken for ever")
	}
	write([]byte("{"))
	for range 5 {
		mustTake(t, answer(t, s, next, "two"))
	}
	if !gateway.Eventually(patience, func() bool { _ = answer(t, s, next, "two"); return strings.Contains(w.Output(), file) }) {
		t.Error("the log does not name the bad file")
	}
}

// A key of fewer than 4096 bits proves nothing, however right its signature is.
func TestShortKeysAreRefused(t *testing.T) {
	short := gateway.NewKey(t, 2048)
	w := newWorld(t, options{client: "key acme-1 {key}\n\t\t\tkey short " + short.Public})
	s := w.system("main")
	mustTake(t, answer(t, s, acmeKey, "acme-1"))
	if got := answer(t, s, short, "short"); got.Status != http.StatusUnauthorized {
		t.Errorf("2048 bits: %d %s", got.Status, got.Body)
	}
}

// The gateway publishes its own keys, public halves alone.
func TestOwnKeysArePublished(t *testing.T) {
	w := newWorld(t, options{})
	fetch := func() map[string]map[string]any {
		t.Helper()
		got := get(t, w.URL("GATEWAY", "/main/jwks.json"))
		var set struct{ Keys []map[string]any }
		if err := json.Unmarshal(got.Body, &set); err != nil || got.Status != http.StatusOK || len(set.Keys) == 0 {
			t.Fatalf("%d %v %s", got.Status, err, got.Body)
		}
		keys := map[string]map[string]any{}
		for _, key := range set.Keys {
			for _, member := range []string{"kid", "alg", "use", "kty"} {
				if text, _ := key[member].(string); text == "" {
					t.Errorf("a key without %s: %v", member, key)
				}
			}
			for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
				if _, there := key[private]; there {
					t.Fatalf("the private member %s is published", private)
				}
			}
			keys[key["kid"].(string)] = key
		}
		return keys
	}
	before := fetch()
	w.Stop()
	w.Restart()
	for kid := range before {
		if fetch()[kid] == nil {
			t.Errorf("after a restart the key %s is gone", kid)
		}
	}
}

func get(t *testing.T, address string) gateway.Answer {
	t.Helper()
	return gateway.Get(t, address, nil)
}
