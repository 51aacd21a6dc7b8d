// Package barstest makes throwaway authorities and certificates for tests of TLS-MA.
package barstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a root and the sub authority that issues certificates.
type Authority struct {
	t         testing.TB
	Root, Sub *x509.Certificate
	key       *ecdsa.PrivateKey // of the sub
	rootKey   *ecdsa.PrivateKey
	serial    int64
}

// NewAuthority makes a root and a sub authority whose names begin with name. The options apply to both.
func NewAuthority(t testing.TB, name string, options ...Option) *Authority {
	t.Helper()
	a := &Authority{t: t, serial: 100}
	rootKey := newKey(t)
	a.key, a.rootKey = newKey(t), rootKey
	template := func(name string, serial int64) *x509.Certificate {
		c := &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(400 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
		for _, option := range options {
			option(c)
		}
		return c
	}
	root := template(name+" Root Authority", 1)
	a.Root = sign(t, root, root, &rootKey.PublicKey, rootKey)
	a.Sub = sign(t, template(name+" Authentication", 2), a.Root, &a.key.PublicKey, rootKey)
	return a
}

// Chain returns root and sub.
func (a *Authority) Chain() []*x509.Certificate { return []*x509.Certificate{a.Root, a.Sub} }

// Option changes a certificate before it is signed.
type Option func(*x509.Certificate)

// Valid sets the period in which a certificate is valid.
func Valid(from, to time.Time) Option {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

// Issue makes a certificate for servers and clients, with name as CN and only DNS name, followed by the sub
// authority's certificate.
func (a *Authority) Issue(name string, options ...Option) tls.Certificate {
	a.t.Helper()
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	for _, option := range options {
		option(template)
	}
	key := newKey(a.t)
	leaf := sign(a.t, template, a.Sub, &key.PublicKey, a.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, a.Sub.Raw}, PrivateKey: key, Leaf: leaf}
}

// Revoke writes a revocation list of the sub authority in PEM and returns its path.
func (a *Authority) Revoke(path string, next time.Time, revoked ...*x509.Certificate) string {
	a.t.Helper()
	return a.revoke(path, next, a.Sub, a.key, revoked...)
}

// RevokeSub writes a revocation list of the root that revokes the sub authority, in PEM, and returns its path.
func (a *Authority) RevokeSub(path string, next time.Time) string {
	a.t.Helper()
	return a.revoke(path, next, a.Root, a.rootKey, a.Sub)
}

func (a *Authority) revoke(path string, next time.Time, issuer *x509.Certificate, key *ecdsa.PrivateKey, revoked ...*x509.Certificate) string {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: next.Add(-48 * time.Hour), NextUpdate: next}
	for _, c := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: c.SerialNumber, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, issuer, key)
	if err != nil {
		a.t.Fatal(err)
	}
	write(a.t, path, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	return path
}

// WriteChain writes root and sub to a file and returns its path.
func (a *Authority) WriteChain(path string) string {
	var text []byte
	for _, c := range a.Chain() {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	write(a.t, path, text)
	return path
}

// Write writes a certificate and its issuers to dir/name.pem and its key to dir/name.key.
func Write(t testing.TB, dir, name string, certificate tls.Certificate) (file, key string) {
	t.Helper()
	var text []byte
	for _, der := range certificate.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	write(t, file, text)
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	return file, key
}

func write(t testing.TB, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
