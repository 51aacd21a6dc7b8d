package browser_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// domain is a world whose signing page is at https://sign.trust.example, behind a proxy that ends TLS. Other hosts of
// trust.example are whatever a test makes of them; all of them are this machine.
type domain struct {
	*world
	public string // the service's public URL
	key    string // of the proxy, PEM
	cert   string
}

// newDomain makes the world; front starts the proxy, which listens on the port and passes everything on to the gateway.
func newDomain(t *testing.T, front func(d *domain, port, to string)) *domain {
	t.Helper()
	port := fmt.Sprint(gateway.FreePort(t))
	d := &domain{public: "https://sign.trust.example:" + port + "/main"}
	d.key, d.cert = newCertificate(t)
	d.world = newWorldAt(t, func(string) string { return d.public }, service{name: "main"})
	front(d, port, "127.0.0.1:"+d.Port("GATEWAY"))
	return d
}

// link has one item accepted and returns where the person is to go.
func (d *domain) link(t *testing.T) string {
	t.Helper()
	system := gateway.System{Base: d.URL("GATEWAY", "/main"), ID: "acme", Kid: "acme-1", Key: d.world.key, Sub: person}
	claims := system.Claims("RS256", gateway.Payloads("RS256", 1)...)
	claims["aud"] = d.public
	accepted := system.Accepted(t, system.Post(t, d.world.key.JWT(t, system.Header(), claims), ""))
	d.MustNotLog(accepted.Token)
	return accepted.RedirectURI
}

// browser is a Chromium for which every host of the domain is this machine, and its certificates are good.
func (d *domain) browser(t *testing.T) context.Context {
	t.Helper()
	return newChrome(t, chromedp.Flag("host-resolver-rules", "MAP *.trust.example 127.0.0.1"),
		chromedp.Flag("ignore-certificate-errors", true))
}

// transport is the way to every host of the domain for programs.
func (d *domain) transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the certificate is the test's own
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}
}

// newCertificate is a key and a certificate for every host of the domain, as files.
func newCertificate(t *testing.T) (key, cert string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"*.trust.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("proxy.key", "EC PRIVATE KEY", der), write("proxy.pem", "CERTIFICATE", leaf)
}

// nginx is Debian's, with every buffer as it comes.
func nginx(t *testing.T) func(d *domain, port, to string) {
	return func(d *domain, port, to string) {
		dir := t.TempDir()
		user := ""
		if os.Getuid() == 0 {
			user = "user root;"
		}
		config := filepath.Join(dir, "nginx.conf")
		text := fmt.Sprintf(`%[1]s
daemon off;
worker_processes 1;
pid %[2]s/pid;
error_log stderr warn;
events {}
http {
	access_log off;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
	server {
		listen 127.0.0.1:%[3]s ssl;
		ssl_certificate %[4]s;
		ssl_certificate_key %[5]s;
		location / {
			proxy_pass http://%[6]s;
			proxy_set_header Host localhost;
		}
	}
}
`, user, dir, port, d.cert, d.key, to)
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		running := gateway.Launch(t, exec.Command("/usr/sbin/nginx", "-e", "stderr", "-p", dir, "-c", config)) //nolint:gosec,noctx // the test's own configuration; Launch ends it
		running.Await("its port", patience, func() error {
			conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
			if err == nil {
				conn.Close()
			}
			return err
		})
	}
}
