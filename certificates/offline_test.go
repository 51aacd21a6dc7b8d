package certificates_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
)

// TestOffline checks cards with lists at hand, and expects all faults at once.
func TestOffline(t *testing.T) {
	root := newAuthority(t, "Test Root", nil)
	ca := newAuthority(t, "Test Level 1D", root)
	other := newAuthority(t, "Another", nil)
	good, bad, foreign := parsed(t, ca.card("good")), parsed(t, ca.card("bad")), parsed(t, other.card("foreign"))
	ca.revoke("bad", "superseded")
	now := time.Now()
	later, long, early := now.Add(time.Hour), now.Add(5000*24*time.Hour), now.Add(-5000*24*time.Hour)

	offline := certificates.NewOffline([]*x509.Certificate{root.cert, ca.cert})
	if err := offline.AddList(other.list(), now); err == nil {
		t.Error("list of an unknown issuer: got no error, want one")
	}
	if err := offline.AddList([]byte("list"), now); err == nil {
		t.Error("text that is not a list: got no error, want one")
	}
	if err := offline.AddList(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), now); err == nil {
		t.Error("certificate as a list: got no error, want one")
	}
	if err := offline.AddList(ca.list(), now); err != nil {
		t.Fatal(err)
	}
	mustFind := func(what string, leaf *x509.Certificate, at time.Time, want ...certificates.Code) {
		t.Helper()
		if got := offline.Faults(context.Background(), leaf, at); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", what, got, want)
		}
	}
	mustFind("a good card", good, later)
	mustFind("a card revoked since", bad, now.Add(-time.Hour))
	mustFind("a revoked card", bad, later, certificates.Revoked)
	mustFind("a revoked card that has expired", bad, long, certificates.Revoked, certificates.Expired)
	mustFind("a card of later", good, early, certificates.NotYetValid)
	mustFind("a card of another issuer", foreign, long, certificates.Expired, certificates.Untrusted)

	root.openssl("ca", "-config", root.file("ca.cnf"), "-revoke", ca.file("ca.pem"), "-crl_reason", "CACompromise")
	if err := offline.AddList(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: root.list()}), now); err != nil {
		t.Fatal(err)
	}
	mustFind("a card of a revoked issuer", good, later, certificates.IssuerRevoked)
	mustFind("a revoked card of a revoked issuer", bad, later, certificates.Revoked, certificates.IssuerRevoked)
}
