package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// names is a resolver: each lookup of a host returns the next of its answers, and the last one from then on.
type names map[string][][]string

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	answers, ok := n[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(answers) > 1 {
		n[host] = answers[1:]
	}
	var addrs []netip.Addr
	for _, text := range answers[0] {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

func tlsServer(t *testing.T, handler http.Handler) (port string, roots *x509.CertPool) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server.Listener.Addr().(*net.TCPAddr).AddrPort().String(), roots
}

func portOf(t *testing.T, hostport string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(hostport)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func get(t *testing.T, client *http.Client, address string) (int, string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }() // ReadBody closed it, but the linter cannot tell
	body, err := ReadBody(response, 1<<10)
	return response.StatusCode, string(body), err
}

func hello() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
}

func TestAllowedNetworkIsReached(t *testing.T) {
	addr, roots := tlsServer(t, hello())
	resolver := names{"example.com": {{"10.9.9.9", "::ffff:127.0.0.1"}}}
	client := New(Options{AllowNetworks: loopback, Resolver: resolver, RootCAs: roots})
	defer client.CloseIdleConnections()
	status, body, err := get(t, client, "https://example.com:"+portOf(t, addr))
	if err != nil || status != 200 || body != "hello" {
		t.Errorf("got status %d, body %q and %v", status, body, err)
	}
}

func TestAddressesRefused(t *testing.T) {
	resolver := names{"keys.example": nil}
	client := New(Options{Resolver: resolver, Timeout: time.Minute})
	for addr, kind := range map[string]string{
		"10.1.2.3": "private", "172.16.0.1": "private", "192.168.1.1": "private", "fd00::1": "private",
		"127.0.0.1": "loopback", "127.8.8.8": "loopback", "::1": "loopback", "169.254.169.254": "link-local",
		"fe80::1": "link-local", "fe80::1%eth0": "link-local", "100.64.0.1": "carrier-grade NAT", "224.0.0.1": "multicast",
		"ff02::1": "multicast", "0.0.0.0": "unspecified", "::": "unspecified", "0.1.2.3": "unspecified",
		"255.255.255.255": "reserved", "::ffff:10.1.2.3": "private", "::ffff:127.0.0.1": "loopback",
		"::ffff:169.254.169.254": "link-local", "::7f00:1": "IPv4-compatible", "64:ff9b::a01:203": "private",
		"64:ff9b::7f00:1": "loopback", "64:ff9b:1::1": "NAT64", "2002:a01:203::1": "6to4", "2001::1": "reserved",
		"fec0::1": "site-local", "198.18.0.1": "benchmarking", "192.0.2.1": "documentation", "2001:db8::1": "documentation",
		"::ffff:0:10.1.2.3": "IPv4-translated", "::ffff:0:169.254.169.254": "IPv4-translated", "::ffff:0:8.8.8.8": "IPv4-translated",
		"64:ff9b:1:7f00:0:100::": "NAT64", "64:ff9b::169.254.169.254": "link-local", "::169.254.169.254": "IPv4-compatible",
		"2002:a9fe:a9fe::1": "6to4", "2001:0:a9fe:a9fe::1": "reserved", "2a00:1450::5efe:10.1.2.3": "ISATAP",
		"2a00:1450::200:5efe:a9fe:a9fe": "ISATAP", "fe80::5efe:10.1.2.3": "link-local", "4000::1": "reserved", "64:ff9b:2::1": "reserved",
		"100::1": "discard", "100:0:0:1::1": "reserved", "::1:0:0": "reserved", "e000::1": "reserved",
	} {
		resolver["keys.example"] = [][]string{{addr}}
		_, _, err := get(t, client, "https://keys.example/set.json")
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s by name: got %v, want ErrRefused", addr, err)
			continue
		}
		for _, part := range []string{"keys.example resolves to " + netip.MustParseAddr(addr).String(), kind, "allow_networks"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: got %q, want it to contain %q", addr, err, part)
			}
		}
		literal := url.URL{Scheme: "https", Host: net.JoinHostPort(addr, "443"), Path: "/"}
		if _, _, err := get(t, client, literal.String()); !errors.Is(err, ErrRefused) {
			t.Errorf("%s as a literal: got %v, want ErrRefused", addr, err)
		}
	}
}

func TestPublicAddressesPass(t *testing.T) {
	for _, text := range []string{"8.8.8.8", "155.231.48.5", "172.32.0.1", "100.128.0.1", "2a00:1450::1", "2606:4700::1111", "3ffe::1", "::ffff:8.8.8.8", "64:ff9b::808:808"} {
		if err := (Options{}).checkAddr("keys.example", netip.MustParseAddr(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// If the resolver answers with an allowed address first and a forbidden one later, the address that was checked is dialled.
func TestRebindingFindsNoGap(t *testing.T) {
	addr, roots := tlsServer(t, hello())
	resolver := names{"example.com": {{"127.0.0.1"}, {"169.254.169.254"}}}
	client := New(Options{AllowNetworks: loopback, Resolver: resolver, RootCAs: roots, Timeout: time.Minute})
	address := "https://example.com:" + portOf(t, addr)
	if _, _, err := get(t, client, address); err != nil {
		t.Errorf("first answer: %v", err)
	}
	client.CloseIdleConnections()
	if _, _, err := get(t, client, address); !errors.Is(err, ErrRefused) {
		t.Errorf("second answer: got %v, want ErrRefused", err)
	}
}

func TestLocalhost(t *testing.T) {
	server := httptest.NewServer(hello())
	defer server.Close()
	port := portOf(t, server.Listener.Addr().String())
	resolver := names{"localhost": {{"127.0.0.1"}}, "evil.example": {{"127.0.0.1"}}}
	open := New(Options{AllowLocalhost: true, Resolver: resolver})
	defer open.CloseIdleConnections()
	shut := New(Options{Resolver: resolver})
	for _, host := range []string{"localhost", "LOCALHOST.", "127.0.0.1"} {
		if _, body, err := get(t, open, "http://"+host+":"+port); err != nil || body != "hello" {
			t.Errorf("%s, allowed: got %q, %v", host, body, err)
		}
		for _, scheme := range []string{"http://", "https://"} {
			if _, _, err := get(t, shut, scheme+host+":"+port); !errors.Is(err, ErrRefused) {
				t.Errorf("%s%s, not allowed: got %v, want ErrRefused", scheme, host, err)
			}
		}
	}
	for _, address := range []string{"http://evil.example:", "https://evil.example:", "https://10.0.0.1:"} {
		if _, _, err := get(t, open, address+port); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", address, err)
		}
	}
	resolver["localhost"] = [][]string{{"8.8.8.8"}}
	open.CloseIdleConnections()
	if _, _, err := get(t, open, "http://localhost:"+port); !errors.Is(err, ErrRefused) {
		t.Errorf("localhost that resolves elsewhere: got %v, want ErrRefused", err)
	}
}

func TestSchemes(t *testing.T) {
	options := Options{PlainHTTP: []string{"crl.nhs.uk"}}
	for address, ok := range map[string]bool{
		"https://keys.example/a": true, "http://keys.example/a": false, "http://crl.nhs.uk/1.crl": true, "http://CRL.nhs.uk./1.crl": true,
		"http://evil.crl.nhs.uk/": false, "ftp://keys.example/": false, "file:///etc/passwd": false, "https:///x": false,
		"https://user:secret@keys.example/": false, "https://10.0.0.1/": false, "https://[::ffff:10.0.0.1]/": false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		err = options.CheckURL(u)
		if (err == nil) != ok || err != nil && (!errors.Is(err, ErrRefused) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestRedirects(t *testing.T) {
	var elsewhere string
	mux := http.NewServeMux()
	mux.Handle("/end", hello())
	var rounds atomic.Int32
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) {
		rounds.Add(1)
		http.Redirect(w, r, "/loop", http.StatusFound)
	})
	mux.HandleFunc("/near", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/end", http.StatusFound) })
	mux.HandleFunc("/post", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/end", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/far", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) })
	addr, roots := tlsServer(t, mux)
	resolver := names{"example.com": {{"127.0.0.1"}}, "other.example.com": {{"127.0.0.1"}}}
	client := New(Options{AllowNetworks: loopback, Resolver: resolver, RootCAs: roots, AllowLocalhost: true, PlainHTTP: []string{"example.com"}})
	defer client.CloseIdleConnections()
	base := "https://example.com:" + portOf(t, addr)
	if _, body, err := get(t, client, base+"/near"); err != nil || body != "hello" {
		t.Errorf("redirect within the host: got %q, %v", body, err)
	}
	if _, _, err := get(t, client, base+"/loop"); !errors.Is(err, ErrRefused) || rounds.Load() != 4 {
		t.Errorf("redirect loop after %d requests: got %v, want ErrRefused", rounds.Load(), err)
	}
	for _, elsewhere = range []string{
		"https://other.example.com:" + portOf(t, addr) + "/end", "http://example.com:" + portOf(t, addr) + "/end",
		"https://example.com/end", "http://localhost:1/", "https://169.254.169.254/",
	} {
		if _, _, err := get(t, client, base+"/far"); !errors.Is(err, ErrRefused) {
			t.Errorf("redirect to %s: got %v, want ErrRefused", elsewhere, err)
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/post", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("redirected POST: got status %d, want the redirect itself", response.StatusCode)
	}
}

// The standard library reads the environment once per process, so a test cannot set it and inspects the transport.
func TestNoProxyOfTheEnvironment(t *testing.T) {
	if New(Options{}).Transport.(*transport).base.Proxy != nil {
		t.Error("transport has a proxy function, want none")
	}
}

func TestBounds(t *testing.T) {
	stop := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/body", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1<<10+1)) })
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", maxHeader)) })
	mux.HandleFunc("/hang", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-stop
	})
	addr, roots := tlsServer(t, mux)
	defer close(stop)
	base := "https://example.com:" + portOf(t, addr)
	for path, timeout := range map[string]time.Duration{"/body": time.Minute, "/header": time.Minute, "/hang": 300 * time.Millisecond} {
		client := New(Options{AllowNetworks: loopback, Resolver: names{"example.com": {{"127.0.0.1"}}}, RootCAs: roots, Timeout: timeout})
		if _, _, err := get(t, client, base+path); err == nil || errors.Is(err, context.DeadlineExceeded) != (path == "/hang") {
			t.Errorf("%s: %v", path, err)
		}
		client.CloseIdleConnections()
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(hello())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	port := portOf(t, server.Listener.Addr().String())
	resolver := names{"example.com": {{"127.0.0.1"}}, "wrong.example": {{"127.0.0.1"}}}
	old := New(Options{AllowNetworks: loopback, Resolver: resolver, RootCAs: roots})
	if _, _, err := get(t, old, "https://example.com:"+port); err == nil {
		t.Error("TLS 1.1: got no error, want one")
	}
	addr, roots := tlsServer(t, hello())
	client := New(Options{AllowNetworks: loopback, Resolver: resolver, RootCAs: roots})
	if _, _, err := get(t, client, "https://wrong.example:"+portOf(t, addr)); err == nil {
		t.Error("certificate for another name: got no error, want one")
	}
	if _, _, err := get(t, New(Options{AllowNetworks: loopback, Resolver: resolver}), "https://example.com:"+portOf(t, addr)); err == nil {
		t.Error("unknown issuer: got no error, want one")
	}
}

func TestNextAddressIsTried(t *testing.T) {
	addr, roots := tlsServer(t, hello())
	// 127.0.0.2 has no listener: the server listens on 127.0.0.1 only.
	client := New(Options{AllowNetworks: loopback, Resolver: names{"example.com": {{"127.0.0.2", "127.0.0.1"}}}, RootCAs: roots})
	defer client.CloseIdleConnections()
	if _, _, err := get(t, client, "https://example.com:"+portOf(t, addr)); err != nil {
		t.Error(err)
	}
	nowhere := New(Options{Resolver: names{"empty.example": {{}}}})
	for _, host := range []string{"empty.example", "missing.example"} {
		if _, _, err := get(t, nowhere, "https://"+host); err == nil || !strings.Contains(err.Error(), host) {
			t.Errorf("%s: %v", host, err)
		}
	}
}
