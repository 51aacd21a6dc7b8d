package certificates_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// checked is an authority with a good card and a revoked one, whose list is at /1d.crl.
type checked struct {
	*site
	ca            *authority
	good, revoked []byte
	clock         clock
}

func newChecked(t testing.TB) *checked {
	s, ca := newSite(t), newAuthority(t, "Test Level 1D", nil)
	c := &checked{site: s, ca: ca, good: ca.card("good", s.at("/1d.crl")), revoked: ca.card("revoked", s.at("/1d.crl"))}
	ca.revoke("revoked", "superseded")
	s.put("/1d.crl", ca.list())
	return c
}

func (c *checked) policy(t testing.TB, change func(*certificates.Options)) certificates.Policy {
	return certificates.Policy{Issuers: []*x509.Certificate{c.ca.cert}, RefuseUnchecked: true,
		Revocations: newRevocations(t, c.site, func(o *certificates.Options) {
			o.Now = c.clock.now
			if change != nil {
				change(o)
			}
		})}
}

// A list that is missing or invalid: the card is accepted or refused, as configured, and the reason is reported.
func TestUnreachable(t *testing.T) {
	c := newChecked(t)
	other := newAuthority(t, "Test Level 1D", nil)
	whole := c.ca.list()
	for _, bad := range []struct {
		name   string
		answer func(w http.ResponseWriter)
		change func(*certificates.Options)
		says   string
	}{
		{"not found", func(w http.ResponseWriter) { w.WriteHeader(404) }, nil, "404"},
		{"an empty answer", func(http.ResponseWriter) {}, nil, "not a revocation list"},
		{"a page", func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>") }, nil, "not a revocation list"},
		{"cut off", func(w http.ResponseWriter) { _, _ = w.Write(whole[:len(whole)-9]) }, nil, "not a revocation list"},
		{"with something after it", func(w http.ResponseWriter) { _, _ = w.Write(append(bytes.Clone(whole), 0)) }, nil, "do not belong"},
		{"of a namesake", func(w http.ResponseWriter) { _, _ = w.Write(other.list()) }, nil, "another key"},
		{"of another authority", func(w http.ResponseWriter) { _, _ = w.Write(newAuthority(t, "Other", nil).list()) }, nil, "another issuer"},
		{"with a bit flipped", func(w http.ResponseWriter) {
			spoilt := bytes.Clone(whole)
			spoilt[len(spoilt)-9] ^= 1
			_, _ = w.Write(spoilt)
		}, nil, "signature"},
		{"too large", func(w http.ResponseWriter) { _, _ = w.Write(whole) },
			func(o *certificates.Options) { o.MaxBytes = int64(len(whole)) - 1 }, "bytes"},
		{"endless", func(w http.ResponseWriter) {
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 1<<16))
			}
		}, func(o *certificates.Options) { o.MaxBytes = 1 << 20 }, "bytes"},
		{"out of date", func(w http.ResponseWriter) {
			_, _ = w.Write(c.ca.listFor([]string{"-crl_lastupdate", stamp(-3 * time.Hour), "-crl_nextupdate", stamp(-time.Hour)}))
		}, nil, "was due for renewal"},
		{"of tomorrow", func(w http.ResponseWriter) {
			_, _ = w.Write(c.ca.listFor([]string{"-crl_lastupdate", stamp(24 * time.Hour), "-crl_nextupdate", stamp(25 * time.Hour)}))
		}, nil, "is in the future"},
		{"that never comes", func(http.ResponseWriter) { <-t.Context().Done() },
			func(o *certificates.Options) { o.Outbound.Timeout = 100 * time.Millisecond }, "longer than 100ms"},
		{"elsewhere", func(w http.ResponseWriter) {
			w.Header().Set("Location", "http://169.254.169.254/1d.crl")
			w.WriteHeader(302)
		}, nil, "redirects"},
	} {
		t.Run(bad.name, func(t *testing.T) {
			c.handle = func(w http.ResponseWriter, _ *http.Request) bool { bad.answer(w); return true }
			policy := c.policy(t, bad.change)
			_, detail := check(t, policy, c.good, time.Now(), certificates.Unchecked)
			mustContain(t, detail, bad.says)
			before := c.asked("/1d.crl")
			policy.RefuseUnchecked = false
			accepted, _ := check(t, policy, c.good, time.Now(), "")
			mustContain(t, accepted.Unchecked, bad.says)
			if c.asked("/1d.crl") != before {
				t.Error("list was fetched again at once after a failure")
			}
			if lists := policy.Revocations.Lists(); len(lists) != 1 || lists[0].Current || lists[0].Error == "" {
				t.Errorf("got status %+v", lists)
			}
		})
	}
}

// A list with too many entries is rejected. What an expired list contains still counts; what it does not contain does not.
func TestEntriesAndExpiry(t *testing.T) {
	c := newChecked(t)
	t.Run("too many entries", func(t *testing.T) {
		c.ca.card("second", c.at("/1d.crl"))
		c.ca.revoke("second", "")
		c.put("/1d.crl", c.ca.list())
		_, detail := check(t, c.policy(t, func(o *certificates.Options) { o.MaxEntries = 1 }), c.good, time.Now(), certificates.Unchecked)
		mustContain(t, detail, "more than 1 entries")
		check(t, c.policy(t, func(o *certificates.Options) { o.MaxEntries = 2 }), c.good, time.Now(), "")
	})
	t.Run("expired", func(t *testing.T) {
		c.put("/1d.crl", c.ca.listFor([]string{"-crl_lastupdate", stamp(-3 * time.Hour), "-crl_nextupdate", stamp(-time.Hour)}))
		policy := c.policy(t, nil)
		_, detail := check(t, policy, c.revoked, time.Now().Add(time.Minute), certificates.Revoked)
		mustContain(t, detail, "superseded")
		_, detail = check(t, policy, c.good, time.Now(), certificates.Unchecked)
		mustContain(t, detail, "was due for renewal")
		check(t, c.policy(t, func(o *certificates.Options) { o.Stale = 2 * time.Hour }), c.good, time.Now(), "")
	})
}

// A list is fetched once for all who wait for it, and then refreshed in the background before it expires.
func TestRefresh(t *testing.T) {
	c := newChecked(t)
	policy := c.policy(t, nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { check(t, policy, c.good, time.Now(), "") })
	}
	all.Wait()
	mustAsk(t, c.site, "/1d.crl", 1)

	c.ca.revoke("good", "keyCompromise")
	c.put("/1d.crl", c.ca.list())
	check(t, policy, c.good, c.clock.now(), "") // not due yet
	c.clock.advance(61 * time.Minute)           // due and still current: nobody waits for it
	check(t, policy, c.good, c.clock.now(), "")
	eventually(t, "the background fetch", func() bool {
		_, refused := policy.Check(t.Context(), c.good, user, c.clock.now())
		return refused != nil && refused.Code == certificates.Revoked
	})
	mustAsk(t, c.site, "/1d.crl", 2)

	t.Run("an older one changes nothing", func(t *testing.T) {
		c.put("/1d.crl", madeList(t, c.ca, func(l *x509.RevocationList) { l.Number.SetInt64(1) }))
		c.clock.advance(30 * time.Minute)
		check(t, policy, c.good, c.clock.now(), certificates.Revoked)
		eventually(t, "the fetch", func() bool { return strings.Contains(policy.Revocations.Lists()[0].Error, "older") })
		check(t, policy, c.good, c.clock.now(), certificates.Revoked)
	})
	t.Run("one that cannot be renewed becomes stale", func(t *testing.T) {
		c.handle = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true }
		c.clock.advance(3 * time.Hour)
		_, detail := check(t, policy, c.ca.card("third", c.at("/1d.crl")), c.clock.now(), certificates.Unchecked)
		mustContain(t, detail, "500")
		check(t, policy, c.good, c.clock.now(), certificates.Revoked)
	})
}

// A server without a newer list sends nothing.
func TestNotModified(t *testing.T) {
	c := newChecked(t)
	var same atomic.Int32
	c.handle = func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("ETag", `"7"`)
		if r.Header.Get("If-None-Match") != `"7"` {
			return false
		}
		same.Add(1)
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	policy := c.policy(t, nil)
	check(t, policy, c.good, time.Now(), "")
	c.clock.advance(61 * time.Minute)
	check(t, policy, c.good, c.clock.now(), "")
	eventually(t, "the second fetch", func() bool { return same.Load() == 1 })
	eventually(t, "its end", func() bool { return policy.Revocations.Lists()[0].NextFetch.After(c.clock.now()) })
	if s := policy.Revocations.Lists()[0]; !s.Current || s.Error != "" || s.Entries != 1 {
		t.Errorf("%+v", s)
	}
}

// Used lists are refreshed in the background, and unused ones are not.
func TestBackground(t *testing.T) {
	ca := newAuthority(t, "Test Level 1D", nil)
	const address = "http://crl.mock.invalid/ca.crl"
	der := ca.card("card", "crlDistributionPoints=URI:"+address)
	lists := [][]byte{ca.listFor([]string{"-crldays", "30"})}
	ca.revoke("card", "keyCompromise")
	lists = append(lists, ca.listFor([]string{"-crldays", "30"}))
	real := time.Now()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		now := func() time.Time { return real.Add(time.Since(begun)) }
		var reads atomic.Int32
		r, err := certificates.New(certificates.Options{Now: now, Local: map[string]func(context.Context) ([]byte, error){
			address: func(context.Context) ([]byte, error) { return lists[min(int(reads.Add(1)), 2)-1], nil },
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		r.Start()
		r.Start()
		policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: r, RefuseUnchecked: true}
		check(t, policy, der, real, "")
		<-time.After(61 * time.Minute)
		synctest.Wait()
		if n := reads.Load(); n != 2 {
			t.Errorf("list was fetched %d times within an hour", n)
		}
		check(t, policy, der, real, certificates.Revoked)
		<-time.After(9 * 24 * time.Hour)
		synctest.Wait()
		if n := reads.Load(); n < 160 || n > 180 {
			t.Errorf("list was fetched %d times in the week before it was dropped", n)
		}
	})
}

// Fetched lists are there after a restart without a fetch; a corrupted file is not trusted.
func TestDisk(t *testing.T) {
	c := newChecked(t)
	dir := filepath.Join(t.TempDir(), "crl")
	kept := func(o *certificates.Options) { o.Dir = dir }
	check(t, c.policy(t, kept), c.good, time.Now(), "")
	files := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	eventually(t, "a file", func() bool { f := files(); return len(f) == 1 && strings.HasSuffix(f[0], ".crl") })
	if info, err := os.Stat(files()[0]); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("got mode %v (%v)", info.Mode(), err)
	}
	c.handle = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(500); return true }
	t.Run("a restart", func(t *testing.T) {
		policy := c.policy(t, kept)
		policy.Revocations.Start()
		eventually(t, "the list", func() bool { return len(policy.Revocations.Lists()) == 1 })
		check(t, policy, c.good, time.Now(), "")
		check(t, policy, c.revoked, time.Now().Add(time.Minute), certificates.Revoked)
		mustAsk(t, c.site, "/1d.crl", 1)
	})
	t.Run("for others who may not ask that host", func(t *testing.T) {
		policy := c.policy(t, func(o *certificates.Options) { o.Dir, o.Hosts = dir, nil })
		policy.Revocations.Start()
		policy.Revocations.Close()
		if len(files()) != 1 || len(policy.Revocations.Lists()) != 0 {
			t.Error("foreign file was read or removed")
		}
	})
	t.Run("spoilt", func(t *testing.T) {
		text, err := os.ReadFile(files()[0])
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)-30] ^= 1
		if err := os.WriteFile(files()[0], text, 0o600); err != nil {
			t.Fatal(err)
		}
		policy := c.policy(t, kept)
		policy.Revocations.Start()
		eventually(t, "its removal", func() bool { return len(files()) == 0 })
		check(t, policy, c.good, time.Now(), certificates.Unchecked)
	})
}

// counter is a local listener that counts connections.
func counter(t testing.TB) (port string, came *atomic.Int32) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	came = new(atomic.Int32)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			came.Add(1)
			conn.Close()
		}
	}()
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port, came
}

// resolver resolves every name to this machine.
type resolver struct{}

func (resolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
}

// A certificate cannot choose an address freely: another host, another port, a private address, another scheme.
func TestNoFetch(t *testing.T) {
	ca := newAuthority(t, "Test Level 1D", nil)
	port, came := counter(t)
	strict := certificates.Options{Outbound: outbound.Options{Resolver: resolver{}}}
	for _, c := range []struct {
		name, url string
		hosts     []string
		says      string
	}{
		{"another host", "http://127.0.0.1:" + port + "/x.crl", nil, "host is not allowed"},
		{"another name", "http://other.example:" + port + "/x.crl", nil, "host is not allowed"},
		{"another port of a host", "http://crl.nhs.uk:" + port + "/x.crl", nil, "host is not allowed"},
		{"a private address", "http://127.0.0.1:" + port + "/x.crl", []string{"127.0.0.1:" + port}, "loopback"},
		{"a name with a private address", "http://crl.nhs.uk:" + port + "/x.crl", []string{"crl.nhs.uk:" + port}, "loopback"},
		{"a user in it", "http://crl.nhs.uk:" + port + "@127.0.0.1:" + port + "/x.crl", []string{"crl.nhs.uk:" + port}, "not http or https"},
		{"a host within another", "http://crl.nhs.uk.other.example:" + port + "/x.crl", []string{"crl.nhs.uk:" + port}, "host is not allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := strict
			options.Hosts = c.hosts
			r, err := certificates.New(options)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: r, RefuseUnchecked: true}
			for what, extension := range map[string]string{"list": "crlDistributionPoints=URI:", "responder": "authorityInfoAccess=OCSP;URI:"} {
				_, detail := check(t, policy, ca.card("card", extension+c.url), time.Now(), certificates.Unchecked)
				mustContain(t, detail, what)
				mustContain(t, detail, c.says)
			}
		})
	}
	t.Run("before the chain holds", func(t *testing.T) {
		s, stranger := newSite(t), newAuthority(t, "Test Level 1D", nil)
		s.put("/1d.crl", stranger.list())
		policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: newRevocations(t, s, nil)}
		check(t, policy, stranger.card("card", s.at("/1d.crl")), time.Now(), certificates.Untrusted)
		check(t, policy, ca.card("other", s.at("/1d.crl"), "keyUsage=keyEncipherment"), time.Now(), certificates.NotForSigning)
		mustAsk(t, s, "/1d.crl", 0)
	})
	if n := came.Load(); n != 0 {
		t.Errorf("got %d connections, want 0", n)
	}
}

// Addresses can be rewritten to a relay.
func TestRewrite(t *testing.T) {
	s, ca := newSite(t), newAuthority(t, "Test Level 1D", nil)
	s.put("/relay/int/1d/crlc3.crl", ca.list())
	policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, RefuseUnchecked: true,
		Revocations: newRevocations(t, s, func(o *certificates.Options) {
			o.Hosts = nil
			o.Rewrites = []certificates.Rewrite{{From: "http://crl.nhs.uk", To: s.URL + "/relay"}}
		})}
	check(t, policy, ca.card("card", "crlDistributionPoints=URI:http://CRL.nhs.uk/int/1d/crlc3.crl"), time.Now(), "")
	mustAsk(t, s, "/relay/int/1d/crlc3.crl", 1)
	for name, options := range map[string]certificates.Options{
		"a host with a scheme":   {Hosts: []string{"http://crl.nhs.uk"}},
		"no host":                {Hosts: []string{""}},
		"a rewrite of a host":    {Rewrites: []certificates.Rewrite{{From: "crl.nhs.uk", To: "http://relay"}}},
		"a rewrite to nowhere":   {Rewrites: []certificates.Rewrite{{From: "http://crl.nhs.uk", To: "relay"}}},
		"a rewrite with a query": {Rewrites: []certificates.Rewrite{{From: "http://crl.nhs.uk", To: "http://relay/?u="}}},
	} {
		if _, err := certificates.New(options); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

// A list that is not fetched but read locally is checked by the same rules.
func TestLocal(t *testing.T) {
	ca := newAuthority(t, "Test Level 1D", nil)
	const address = "http://crl.mock.invalid/ca.crl"
	der := ca.card("card", "crlDistributionPoints=URI:"+address)
	ca.revoke("card", "")
	list, failure := ca.list(), error(nil)
	r, err := certificates.New(certificates.Options{Local: map[string]func(context.Context) ([]byte, error){
		address: func(context.Context) ([]byte, error) { return list, failure },
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	policy := certificates.Policy{Issuers: []*x509.Certificate{ca.cert}, Revocations: r, RefuseUnchecked: true}
	check(t, policy, der, time.Now().Add(time.Minute), certificates.Revoked)
	stranger := newAuthority(t, "Test Level 1D", nil)
	policy.Issuers = []*x509.Certificate{stranger.cert}
	_, detail := check(t, policy, stranger.card("card", "crlDistributionPoints=URI:"+address), time.Now(), certificates.Unchecked)
	mustContain(t, detail, "another key")
}
