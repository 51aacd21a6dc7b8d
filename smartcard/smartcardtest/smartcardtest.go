// Package smartcardtest helps test the agent's protocol: a throwaway CA, its certificates, and an agent served over
// real mutual TLS. It is only for tests.
package smartcardtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// CA is a throwaway certificate authority.
type CA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes a CA. All CAs have the same name, so that only their keys distinguish them.
func NewCA(tb testing.TB) *CA {
	tb.Helper()
	ca := &CA{key: newKey(tb)}
	ca.cert = create(tb, &x509.Certificate{
		Subject:               pkix.Name{CommonName: "test CA"},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}, nil, ca.key, ca.key)
	return ca
}

// Pool returns a pool of only this CA.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Leaf makes a certificate for clients and servers with these subject alternative names: IP addresses, URIs (with
// ://), e-mail addresses (with @) and DNS names.
func (ca *CA) Leaf(tb testing.TB, sans ...string) tls.Certificate {
	tb.Helper()
	leaf := &x509.Certificate{
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	for _, san := range sans {
		switch ip := net.ParseIP(san); {
		case ip != nil:
			leaf.IPAddresses = append(leaf.IPAddresses, ip)
		case strings.Contains(san, "://"):
			u, err := url.Parse(san)
			if err != nil {
				tb.Fatal(err)
			}
			leaf.URIs = append(leaf.URIs, u)
		case strings.Contains(san, "@"):
			leaf.EmailAddresses = append(leaf.EmailAddresses, san)
		default:
			leaf.DNSNames = append(leaf.DNSNames, san)
		}
	}
	key := newKey(tb)
	cert := create(tb, leaf, ca.cert, key, ca.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// Serve serves an agent on loopback, over HTTP/2 and 1.1, until the test ends. It presents a certificate of ca, and
// handles client certificates, which must be of ca, as auth says. It returns the agent's base address.
func Serve(tb testing.TB, ca *CA, auth tls.ClientAuthType, agent http.Handler) string {
	tb.Helper()
	server := httptest.NewUnstartedServer(agent)
	server.TLS = &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{ca.Leaf(tb, "127.0.0.1")},
		ClientCAs:    ca.Pool(),
		ClientAuth:   auth,
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // tests refuse handshakes on purpose
	server.EnableHTTP2 = true
	server.StartTLS()
	tb.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// Transport trusts servers of ca and presents the certificates, if any.
func Transport(tb testing.TB, ca *CA, certs ...tls.Certificate) *http.Transport {
	t := &http.Transport{
		TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca.Pool(), Certificates: certs},
		ForceAttemptHTTP2: true,
	}
	tb.Cleanup(t.CloseIdleConnections)
	return t
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// create signs the template; without a parent it is self-signed.
func create(tb testing.TB, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		tb.Fatal(err)
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(time.Hour)
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}
