package demo

import (
	"context"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dd2befc3/countersign/jwks"
)

func contextWithLocal(r *http.Request, local net.Addr) context.Context {
	return context.WithValue(r.Context(), http.LocalAddrContextKey, local)
}

func TestKeyIsMadeOnceForAVault(t *testing.T) {
	vault := &memoryVault{}
	first, second := newDemo(t, Options{Vault: vault}), newDemo(t, Options{Vault: vault})
	first.keyBits, second.keyBits = realBits, realBits
	first.Start(t.Context())
	second.Start(t.Context())
	waitFor(t, func() bool { return first.key.Load() != nil && second.key.Load() != nil })
	first.Close()
	second.Close()
	if vault.saves != 1 || string(first.key.Load().set) != string(second.key.Load().set) {
		t.Errorf("got %d keys, want one", vault.saves)
	}
	third := newDemo(t, Options{Vault: vault})
	third.Start(t.Context())
	waitFor(t, func() bool { return third.key.Load() != nil })
	if vault.saves != 1 || string(third.key.Load().set) != string(first.key.Load().set) {
		t.Error("the key changed over a restart")
	}
	set := string(first.key.Load().set)
	if modulus := regexp.MustCompile(`"n":"[\w-]{683}"`); !modulus.MatchString(set) { // 512 bytes
		t.Errorf("not a key of 4096 bits: %s", set)
	}
	if strings.Contains(set, `"d"`) || !strings.Contains(set, `"demo-epr-1"`) {
		t.Errorf("key set %s", set)
	}
	if saved := string(vault.files["countersign/demo/demo-epr.pem"]); !strings.HasPrefix(saved, "-----BEGIN PRIVATE KEY-----") {
		t.Errorf("got %.30q in %d files", saved, len(vault.files))
	}
	other := newDemo(t, Options{Vault: vault, ClientID: "another"})
	other.Start(t.Context())
	waitFor(t, func() bool { return other.key.Load() != nil })
	if vault.saves != 2 {
		t.Error("two clients share a key")
	}
}

func TestWaitingForTheKey(t *testing.T) {
	vault := &memoryVault{gate: make(chan struct{})}
	s := newSite(t, Options{Vault: vault})
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{http.MethodGet, "/", 200, "making its own signing key"},
		{http.MethodPost, "/sign", 503, "making its own signing key"},
		{http.MethodGet, "/jwks.json", 503, "being made"},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), c.method, s.URL+"/demo"+c.path, nil)
		resp, err := s.browser.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		_ = resp.Write(&body)
		_ = resp.Body.Close()
		if resp.StatusCode != c.status || !strings.Contains(body.String(), c.body) || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %s", c.method, c.path, body.String())
		}
		if page := c.path != "/jwks.json"; page != (resp.Header.Get("Refresh") == "2; url=./") || strings.Contains(body.String(), "<form") {
			t.Errorf("%s: Refresh %q", c.path, resp.Header.Get("Refresh"))
		}
	}
	close(vault.gate)
	waitFor(t, func() bool { return s.demo.key.Load() != nil })
	_, page := s.get(t, "/demo/")
	expect(t, page, "Sign 3 prescriptions")
}

func TestVaultThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := New(Options{Vault: &memoryVault{fail: 4}})
		if err != nil {
			t.Fatal(err)
		}
		d.keyBits = 2048
		begin := time.Now()
		d.Start(t.Context())
		<-time.After(14 * time.Second)
		synctest.Wait()
		if d.key.Load() != nil {
			t.Error("got a key before the vault was back")
		}
		<-time.After(2 * time.Second) // 1 + 2 + 4 + 8 s after the four failures
		synctest.Wait()
		if d.key.Load() == nil {
			t.Errorf("got no key after %v", time.Since(begin))
		}
		d.Close()
	})
}

func TestUnreadableKeyIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vault := &memoryVault{files: map[string][]byte{"countersign/demo/demo-epr.pem": []byte("not a key")}}
		d, err := New(Options{Vault: vault})
		if err != nil {
			t.Fatal(err)
		}
		d.Start(t.Context())
		<-time.After(3 * time.Minute)
		synctest.Wait()
		if d.key.Load() != nil || vault.saves != 0 {
			t.Error("the unreadable key was overwritten")
		}
		key, err := jwks.GenerateRSA(2048, nil)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := jwks.NewSigner("x", key)
		if err != nil {
			t.Fatal(err)
		}
		vault.mu.Lock()
		vault.files["countersign/demo/demo-epr.pem"] = signer.MarshalPEM()
		vault.mu.Unlock()
		<-time.After(lastPause)
		synctest.Wait()
		if d.key.Load() == nil {
			t.Error("the repaired key was not loaded")
		}
		d.Close()
		d.Close()
	})
}

// TestStartAgain: the first context ends while the vault is away, as in a reload.
func TestStartAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemo(t, Options{Vault: &memoryVault{fail: 2}})
		first, end := context.WithCancel(t.Context())
		d.Start(first)
		synctest.Wait()
		d.Start(t.Context())
		synctest.Wait()
		end()
		<-time.After(lastPause)
		synctest.Wait()
		if d.key.Load() == nil {
			t.Error("got no key after the end of the first context")
		}
		d.Close()
	})
}

func TestCloseWithoutStart(t *testing.T) {
	d := newDemo(t, Options{Vault: &memoryVault{}})
	d.Close()
	d.Start(t.Context())
	if d.key.Load() != nil {
		t.Error("a closed demo made a key")
	}
}
