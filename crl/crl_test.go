package crl_test

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/crl"
)

// world is an authority with a list of each version, each of which revokes the serial number 5.
func world(t testing.TB) (ca *x509.Certificate, second, first []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Second)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Level 1"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	second, err = x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(5), RevocationTime: now}},
	}, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	return ca, second, versionOne(t, ca, key, now)
}

// versionOne signs a list of version 1 (RFC 5280 §5.1.2.1: the version is left out).
func versionOne(t testing.TB, ca *x509.Certificate, key *rsa.PrivateKey, now time.Time) []byte {
	t.Helper()
	type entry struct {
		Serial *big.Int
		At     time.Time
	}
	algorithm := pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue}
	tbs, err := asn1.Marshal(struct {
		Algorithm  pkix.AlgorithmIdentifier
		Issuer     asn1.RawValue
		This, Next time.Time
		Revoked    []entry
	}{algorithm, asn1.RawValue{FullBytes: ca.RawSubject}, now, now.Add(time.Hour), []entry{{big.NewInt(5), now}}})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(tbs)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	list, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestListsInTheWild reads every wrapping of lists of both versions, and verifies their signatures.
func TestListsInTheWild(t *testing.T) {
	ca, second, first := world(t)
	for version, der := range map[string][]byte{"version 1": first, "version 2": second} {
		text := pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
		for name, data := range map[string][]byte{
			"DER":               der,
			"newline":           append(bytes.Clone(der), '\n'),
			"CRLF":              append(bytes.Clone(der), '\r', '\n'),
			"PEM":               text,
			"PEM, mark":         append([]byte("\xef\xbb\xbf"), text...),
			"PEM, text":         append([]byte("Certificate Revocation List (CRL):\n    Version 1 (0x0)\n"), text...),
			"gzip":              zipped(t, der),
			"gzip of a newline": zipped(t, append(bytes.Clone(der), '\n')),
			"gzip of PEM":       zipped(t, text),
		} {
			got, err := crl.DER(data, 1<<20)
			if err != nil || !bytes.Equal(got, der) {
				t.Errorf("%s, %s: got %d bytes, %v, want the list", version, name, len(got), err)
				continue
			}
			list, err := crl.Parse(got)
			if err != nil {
				t.Errorf("%s, %s: %v", version, name, err)
				continue
			}
			if err := list.CheckSignatureFrom(ca); err != nil {
				t.Errorf("%s, %s: signature: %v", version, name, err)
			}
			if entries := list.RevokedCertificateEntries; len(entries) != 1 || entries[0].SerialNumber.Int64() != 5 || list.NextUpdate.IsZero() {
				t.Errorf("%s, %s: got %+v, next %s, want the serial number 5", version, name, entries, list.NextUpdate)
			}
		}
	}
	forged := bytes.Clone(first)
	forged[bytes.LastIndex(first, []byte{2, 1, 5})+2] = 6 // the serial number
	if list, err := crl.Parse(forged); err != nil || list.CheckSignatureFrom(ca) == nil {
		t.Errorf("changed list of version 1: got %v and a good signature, want a bad one", err)
	}
}

// TestNamedForWhatTheyAre: what cannot be read says what it is.
func TestNamedForWhatTheyAre(t *testing.T) {
	ca, der, first := world(t)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":         {nil, "empty"},
		"a page":          {[]byte("\r\n<!doctype html>"), "page"},
		"JSON":            {[]byte(`{"error":"no"}`), "JSON"},
		"ZIP":             {[]byte("PK\x03\x04"), "ZIP"},
		"text":            {[]byte("not found"), "not a revocation list"},
		"base64":          {[]byte(base64.StdEncoding.EncodeToString(der)), "base64"},
		"a certificate":   {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), `"CERTIFICATE"`},
		"two lists":       {bytes.Repeat(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), 2), "2 PEM blocks"},
		"PEM cut off":     {pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})[:300], "line 1"},
		"cut off":         {der[:len(der)-9], "cut off"},
		"something after": {append(bytes.Clone(der), 0), "1 bytes"},
		"two after":       {append(bytes.Clone(der), der...), "do not belong"},
		"gzip cut off":    {zipped(t, der)[:100], "gzip"},
		"no gzip":         {[]byte{0x1f, 0x8b, 1, 2, 3}, "gzip"},
		"a bomb":          {zipped(t, make([]byte, 1<<21)), "decompression"},
		"gzip of a page":  {zipped(t, []byte("<html>")), "page"},
	} {
		if got, err := crl.DER(c.data, 1<<20); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %d bytes, %v, want an error with %q", name, len(got), err, c.want)
		}
	}
	for name, data := range map[string][]byte{"a certificate": ca.Raw, "nothing": nil, "cut off": first[:50], "twice": append(bytes.Clone(first), first...)} {
		if _, err := crl.Parse(data); err == nil || !strings.Contains(err.Error(), "revocation list") {
			t.Errorf("parsing %s: got %v, want an error that it is no list", name, err)
		}
	}
}

// FuzzParse: nothing panics, and what version 2 holds is what crypto/x509 reads.
func FuzzParse(f *testing.F) {
	_, second, first := world(f)
	f.Add(second)
	f.Add(first)
	f.Add(append(bytes.Clone(first), '\n'))
	f.Fuzz(func(t *testing.T, data []byte) {
		der, err := crl.DER(data, 1<<16)
		if err != nil {
			return
		}
		list, err := crl.Parse(der)
		if standard, otherwise := x509.ParseRevocationList(der); otherwise == nil && (err != nil || !bytes.Equal(standard.Raw, list.Raw)) {
			t.Errorf("crypto/x509 reads the list, but got %v", err)
		}
	})
}
