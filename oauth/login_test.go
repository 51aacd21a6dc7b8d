package oauth

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/cookies"
	"github.com/seed-dd2befc3/countersign/store"
)

const invalidStateWords = "Invalid state parameter."

// records name all that the store has, with their versions.
func (w *userWorld) records(t *testing.T) (all []string) {
	t.Helper()
	err := w.store.Store.(store.Dumper).Dump(t.Context(), func(r store.Record) error {
		all = append(all, fmt.Sprint(r.Key, " ", r.Version))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// another is a browser with these cookies at a node of its own, which has in common with this one what nodes have.
func (w *userWorld) another(cookies []*http.Cookie) *userWorld {
	node := *w.Authorizer
	other := *w
	other.Authorizer, other.cookies = &node, slices.Clone(cookies)
	return &other
}

// A stranger can know a client's id and where its people are sent. All that he can do with it leaves nothing.
func TestWhoeverOnlyBeginsLeavesNothing(t *testing.T) {
	w := newUserWorld(t)
	for range 20 {
		w.began(t)
		w.cookies = nil
	}
	mustSay(t, w.browse("/callback?code=x&state="+strings.Repeat("A", 43)), 400, invalidStateWords)
	for _, answer := range []string{"&error=access_denied", ""} { // he comes back, with nothing, or with a code that is none
		w.browse(strings.Replace(w.began(t), "code=x", "", 1) + answer)
	}
	for range 3 {
		w.stub.fails = nil
		callback, kept := w.began(t), slices.Clone(w.cookies)
		w.stub.fails = ErrDenied
		w.browse(callback)
		w.cookies = kept
		w.browse(callback) // as often as he likes
		w.cookies = nil
	}
	if all := w.records(t); len(all) > 0 {
		t.Errorf("the store has %v", all)
	}
}

// What the browser keeps tells it nothing, and the store is told nothing of it.
func TestALoginIsSealed(t *testing.T) {
	w := newUserWorld(t)
	w.browse(asking)
	kept, err := base64.RawURLEncoding.DecodeString(w.cookies[0].Value)
	if err != nil || len(kept) < 100 {
		t.Fatalf("%d bytes, %v", len(kept), err)
	}
	for _, part := range []string{"acme", "their state", w.stub.way.Verifier, w.stub.way.Nonce, w.stub.way.State} {
		if part == "" || bytes.Contains(kept, []byte(part)) || strings.Contains(w.cookies[0].String(), part) {
			t.Errorf("the browser can read %q", part)
		}
	}
	one := w.stub.way
	w.browse(asking)
	if two := w.stub.way; one.Nonce == two.Nonce || one.Verifier == two.Verifier || one.State == two.State {
		t.Errorf("two ways of one browser: %+v, %+v", one, two)
	}
}

// A login opens in the browser, for the state, at the provider and the address that it was sealed for, and unchanged.
func TestALoginThatIsNotTheRightOne(t *testing.T) {
	w := newUserWorld(t)
	callback := w.began(t)
	right := *w.cookies[0]
	ours := w.stub.way.State
	w.browse(asking)
	other := *w.cookies[1]
	refused := func(what string, cookie http.Cookie) {
		t.Helper()
		w.cookies = []*http.Cookie{&cookie}
		if a := w.browse(callback); a.Code != 400 || !strings.Contains(a.Body.String(), invalidStateWords) || a.Header().Get("Location") != "" {
			t.Errorf("%s: %d %s to %s", what, a.Code, a.Body, a.Header().Get("Location"))
		}
	}
	with := func(value string) http.Cookie { c := right; c.Value = value; return c }
	raw, err := base64.RawURLEncoding.DecodeString(right.Value)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		flipped := slices.Clone(raw)
		flipped[i] ^= 1 << (i % 8)
		refused("a flipped bit", with(base64.RawURLEncoding.EncodeToString(flipped)))
	}
	for i := range raw {
		refused("cut off", with(base64.RawURLEncoding.EncodeToString(raw[:i])))
	}
	refused("in another alphabet's padding", with(right.Value+"="))
	refused("longer", with(right.Value+"A"))
	refused("too large", with(strings.Repeat("A", 1<<20)))
	refused("of another sign-in", with(other.Value))
	refused("under another's name", other)
	for what, change := range map[string]func(a *Authorizer){
		"of another gateway":  func(a *Authorizer) { a.Seal = sealed(2) },
		"of another provider": func(a *Authorizer) { a.Provider = elsewhere{w.stub} },
		"of another address": func(a *Authorizer) {
			a.BaseURL = func(*http.Request) (string, error) { return "https://api.example/other", nil }
		},
	} {
		there := w.another([]*http.Cookie{&right})
		change(there.Authorizer)
		if a := there.browse(callback); a.Code != 400 {
			t.Errorf("%s: %d %s", what, a.Code, a.Header().Get("Location"))
		}
	}
	secret, err := w.Seal(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good := (&login{Client: "acme", Redirect: "https://acme.example/in", Expires: w.clock.Now().Add(time.Hour)}).encode()
	for what, text := range map[string][]byte{"nothing": {}, "of another version": append([]byte{9}, good[1:]...), "too much": append(good, 0), "too little": good[:len(good)-3]} {
		sealed, err := cookies.Seal(secret, w.purpose(base+pathCallback, ours), text)
		if err != nil {
			t.Fatal(err)
		}
		refused(what, with(sealed))
	}
	w.clock.Add(cookies.SignInLife)
	refused("over", right)
	w.clock.Add(-time.Second)
	w.cookies = []*http.Cookie{&right}
	if home := w.browse(callback).Header().Get("Location"); !strings.HasPrefix(home, "https://acme.example/in?code=") {
		t.Errorf("the right one after that is sent to %q", home)
	}
}

// A state is good once, on every node, also in a browser that does not forget.
func TestAStateIsGoodOnce(t *testing.T) {
	w := newUserWorld(t)
	callback := w.began(t)
	kept := slices.Clone(w.cookies)
	if a := w.browse(callback); a.Code != http.StatusFound || len(w.cookies) != 0 {
		t.Fatalf("%d %s; the browser keeps %v", a.Code, a.Body, w.cookies)
	}
	mustSay(t, w.browse(callback), 400, invalidStateWords)
	redeemed := 0
	w.stub.redeems = func() { redeemed++ }
	for range 2 {
		mustSay(t, w.another(kept).browse(callback), 400, invalidStateWords)
		w.clock.Add(cookies.SignInLife - time.Second)
	}
	w.clock.Add(time.Second)
	mustSay(t, w.another(kept).browse(callback), 400, invalidStateWords)
	if redeemed > 0 {
		t.Errorf("the provider is asked %d times for a state that was used", redeemed)
	}
}

// Two tabs of a browser sign in at one time, and neither is in the other's way.
func TestTwoTabs(t *testing.T) {
	w := newUserWorld(t)
	one, two := w.began(t), w.began(t)
	for _, callback := range []string{two, one} {
		if home := w.browse(callback).Header().Get("Location"); !strings.HasPrefix(home, "https://acme.example/in?code=") {
			t.Errorf("sent to %q", home)
		}
	}
	if len(w.cookies) > 0 {
		t.Errorf("the browser still keeps %v", w.cookies)
	}
}

// The same answer comes to two nodes at once, again and again: there is one code at the most, and nobody is misled.
func TestTheSameAnswerAtTwoNodesAtOnce(t *testing.T) {
	w := newUserWorld(t)
	callback := w.began(t)
	kept := slices.Clone(w.cookies)
	var all sync.WaitGroup
	answers := make([]*httptest.ResponseRecorder, 16)
	for i := range answers {
		browser := w.another(kept)
		all.Go(func() { answers[i] = browser.browse(callback) })
	}
	all.Wait()
	codes := 0
	for _, a := range answers {
		if strings.HasPrefix(a.Header().Get("Location"), "https://acme.example/in?code=") {
			codes++
		} else {
			mustSay(t, a, 400, invalidStateWords)
		}
	}
	if codes != 1 {
		t.Errorf("%d codes", codes)
	}

	t.Run("to the very commit", func(t *testing.T) {
		callback := w.began(t)
		quicker := w.another(w.cookies)
		race := &raceOn{Store: w.store, key: "signed-in/", first: func() {
			if a := quicker.browse(callback); a.Code != http.StatusFound {
				t.Errorf("the quicker one: %d %s", a.Code, a.Body)
			}
		}}
		w.Store = race
		mustSay(t, w.browse(callback), 400, invalidStateWords)
		w.Store = w.store
	})
	t.Run("and the provider takes its code once", func(t *testing.T) {
		callback := w.began(t)
		quicker := w.another(w.cookies)
		w.stub.redeems = func() {
			w.stub.redeems = nil
			if a := quicker.browse(callback); a.Code != http.StatusFound {
				t.Errorf("the quicker one: %d %s", a.Code, a.Body)
			}
			w.stub.fails = ErrDenied
		}
		mustSay(t, w.browse(callback), 400, invalidStateWords)
	})
}

// What a browser keeps is bounded: its oldest sign-ins give way, and nothing is kept that it would drop unseen.
func TestWhatABrowserKeepsIsBounded(t *testing.T) {
	w := newUserWorld(t)
	first := w.began(t)
	long := strings.Replace(asking, "their%20state", strings.Repeat("s", maxState), 1)
	for i := range 30 {
		if w.browse(asking); i%5 == 0 {
			w.browse(long)
		}
		size := 0
		for _, c := range w.cookies {
			one := len(c.Name) + len(c.Value)
			if size += one; one > 4096 {
				t.Fatalf("a cookie of %d bytes, which browsers drop", one)
			}
		}
		if size > 6<<10 {
			t.Fatalf("the browser keeps %d bytes", size)
		}
	}
	mustSay(t, w.browse(first), 400, invalidStateWords)
	if last := w.back(t); last.Get("code") == "" {
		t.Errorf("the newest: %v", last)
	}

	acme := w.Clients["acme"]
	far := "https://acme.example/" + strings.Repeat("far/", 300)
	acme.RedirectURIs = []string{far}
	w.Clients["acme"] = acme
	query := "/authorize?client_id=acme&response_type=code&redirect_uri=" + url.QueryEscape(far) + "&state="
	home, _ := url.Parse(w.browse(query + strings.Repeat("s", maxState)).Header().Get("Location"))
	if q := home.Query(); home.Host != "acme.example" || q.Get("error_description") != "state is too long" || len(q.Get("state")) != maxState {
		t.Errorf("sent to %s", home)
	}
	if away, _ := url.Parse(w.browse(query + "s").Header().Get("Location")); away.Host != "op.example" {
		t.Errorf("a short state there: sent to %s", away)
	}
}

// Without the key nothing is begun and nothing ended, and nothing is lost either.
func TestAKeyThatCannotBeHad(t *testing.T) {
	w := newUserWorld(t)
	callback := w.began(t)
	right := w.Seal
	w.Seal = func(context.Context) ([]byte, error) { return nil, errors.New("the storage is away") }
	mustSay(t, w.browse(asking), 503, "Retry-After")
	mustSay(t, w.browse(callback), 503, "Retry-After")
	w.Seal = right
	if a := w.browse(callback); a.Code != http.StatusFound {
		t.Errorf("%d %s", a.Code, a.Body)
	}
}
