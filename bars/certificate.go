package bars

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/seed-dd2befc3/countersign/textfile"
)

// ReadCertificates reads the certificates of PEM files in order. A file without a certificate is an error,
// and so is one with a block that cannot be read or is of another kind, other than a private key.
func ReadCertificates(paths ...string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		blocks, err := textfile.Blocks(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		before := len(all)
		for _, block := range blocks {
			switch {
			case strings.HasSuffix(block.Type, "PRIVATE KEY"), strings.HasSuffix(block.Type, "PARAMETERS"):
				continue // a certificate and its key in one file, as tls takes them
			case block.Type != "CERTIFICATE":
				return nil, fmt.Errorf("%s: PEM block is %.40q, want CERTIFICATE", path, block.Type)
			}
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			all = append(all, certificate)
		}
		if len(all) == before {
			return nil, fmt.Errorf("%s: no PEM certificate (-----BEGIN CERTIFICATE-----) found", path)
		}
	}
	return all, nil
}

// CheckServes refuses a certificate that does not name the system, because callers would not accept it.
func CheckServes(leaf *x509.Certificate, fqdn string) error {
	if err := leaf.VerifyHostname(fqdn); err != nil {
		return fmt.Errorf("the certificate does not name %s as a subject alternative name (it names %s)", fqdn, strings.Join(leaf.DNSNames, ", "))
	}
	return nil
}

// CheckNames checks that FQDN, CN and the only subject alternative name are the same (BAR-3.9, BAR-4.5), ignoring
// case.
func CheckNames(leaf *x509.Certificate, fqdn string) error {
	if err := CheckServes(leaf, fqdn); err != nil {
		return err
	}
	cn := leaf.Subject.CommonName
	switch {
	case cn == "":
		return fmt.Errorf("the certificate has no CN; want %s", fqdn)
	case !strings.EqualFold(cn, fqdn):
		return fmt.Errorf("the certificate's CN is %s, want the system's name %s", cn, fqdn)
	case len(leaf.DNSNames) != 1 || len(leaf.IPAddresses)+len(leaf.EmailAddresses)+len(leaf.URIs) > 0:
		return fmt.Errorf("the certificate has more subject alternative names than %s, want no other", fqdn)
	}
	return nil
}

// CheckIssued refuses a file whose first certificate was not issued under an authority of the chain. The file's other
// certificates serve as intermediates. Validity in time is not checked.
func CheckIssued(file, chain []*x509.Certificate) error {
	if len(file) == 0 {
		return errors.New("no certificate in the file")
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	for _, authority := range chain {
		roots.AddCert(authority)
	}
	for _, further := range file[1:] {
		intermediates.AddCert(further)
	}
	when := file[0].NotBefore
	for _, certificate := range slices.Concat(file, chain) {
		if when.Before(certificate.NotBefore) && certificate.NotBefore.Before(file[0].NotAfter) {
			when = certificate.NotBefore
		}
	}
	_, err := file[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: when, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return fmt.Errorf("the certificate %s is not issued by the environment's chain: %w", nameOf(file[0]), err)
	}
	return nil
}
