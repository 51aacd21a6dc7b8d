package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// newBarsFiles makes a sender's key, and an authority with certificates for a proxy and a receiver.
func newBarsFiles(dir string) (barsFiles, error) {
	at := func(name string) string { return filepath.Join(dir, name+".pem") }
	files := barsFiles{at("public"), at("private"), at("chain"), at("proxy"), at("proxy-key"), at("receiver"), at("receiver-key")}
	sender, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return files, err
	}
	public, err := x509.MarshalPKIXPublicKey(&sender.PublicKey)
	if err != nil {
		return files, err
	}
	a := &chain{}
	a.write(files.public, "PUBLIC KEY", public)
	a.writeKey(files.private, sender)
	a.issue("Bench Authority", files.chain, "")
	a.issue("proxy.bench.nhs.uk", files.proxy, files.proxyKey)
	a.issue(receiverName, files.receiver, files.receiverKey)
	return files, a.err
}

// chain is an authority, which the first certificate is. It notes the first error.
type chain struct {
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
	err       error
}

func (c *chain) issue(name, file, keyFile string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil || c.err != nil {
		c.note(err)
		return
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	parent, signer := template, key
	if c.authority == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		template.DNSNames, template.KeyUsage = []string{name}, x509.KeyUsageDigitalSignature
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		parent, signer = c.authority, c.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		c.note(err)
		return
	}
	if c.authority == nil {
		c.authority, err = x509.ParseCertificate(der)
		c.key = key
		c.note(err)
	} else {
		c.writeKey(keyFile, key)
	}
	c.write(file, "CERTIFICATE", der)
}

func (c *chain) writeKey(file string, key crypto.Signer) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	c.note(err)
	c.write(file, "PRIVATE KEY", der)
}

func (c *chain) write(file, kind string, der []byte) {
	c.note(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (c *chain) note(err error) {
	if c.err == nil {
		c.err = err
	}
}
