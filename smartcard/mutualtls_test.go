package smartcard_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/smartcardtest"
)

func TestMutualTLS(t *testing.T) {
	ours, others := smartcardtest.NewCA(t), smartcardtest.NewCA(t)
	called := signer(func(context.Context, smartcard.Job, *smartcard.Stream) error {
		t.Error("the signer was called, want the connection refused")
		return nil
	})
	server := newServer(t, smartcard.ServerOptions{Signer: called, AllowClients: []string{gateway, "spiffe://example/gw", "gw@example.org", "192.0.2.7"}})
	tests := []struct {
		name  string
		auth  tls.ClientAuthType
		certs []tls.Certificate
		code  string
	}{
		{"no certificate", tls.RequireAndVerifyClientCert, nil, smartcard.CodeUnreachable},
		{"another CA", tls.RequireAndVerifyClientCert, []tls.Certificate{others.Leaf(t, gateway)}, smartcard.CodeUnreachable},
		{"no certificate, not asked for", tls.NoClientCert, nil, smartcard.CodeRefused},
		{"no certificate, optional", tls.VerifyClientCertIfGiven, nil, smartcard.CodeRefused},
		{"any certificate, not verified", tls.RequireAnyClientCert, []tls.Certificate{ours.Leaf(t, gateway)}, smartcard.CodeRefused},
		{"another leaf", tls.RequireAndVerifyClientCert, []tls.Certificate{ours.Leaf(t, "www.example.internal")}, smartcard.CodeRefused},
		{"a leaf below", tls.RequireAndVerifyClientCert, []tls.Certificate{ours.Leaf(t, "x."+gateway)}, smartcard.CodeRefused},
		{"a wildcard leaf", tls.RequireAndVerifyClientCert, []tls.Certificate{ours.Leaf(t, "*.example.internal")}, smartcard.CodeRefused},
		{"another URI", tls.RequireAndVerifyClientCert, []tls.Certificate{ours.Leaf(t, "spiffe://example/gw2")}, smartcard.CodeRefused},
		{"another address", tls.RequireAndVerifyClientCert, []tls.Certificate{ours.Leaf(t, "192.0.2.8", "GW@example.com")}, smartcard.CodeRefused},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			agent := newAgent(t, smartcardtest.Serve(t, ours, test.auth, server), smartcardtest.Transport(t, ours, test.certs...))
			_, err := agent.Sign(t.Context(), newJob(1), nil)
			wantCode(t, err, test.code)
			_, err = agent.Health(t.Context())
			wantCode(t, err, test.code)
		})
	}

	url := smartcardtest.Serve(t, ours, tls.RequireAndVerifyClientCert, newServer(t, smartcard.ServerOptions{
		Signer: signer(honest), AllowClients: []string{gateway, "spiffe://example/gw", "gw@example.org", "192.0.2.7"},
	}))
	for _, san := range []string{strings.ToUpper(gateway), "spiffe://example/gw", "gw@example.org", "192.0.2.7"} {
		t.Run("allowed "+san, func(t *testing.T) {
			agent := newAgent(t, url, smartcardtest.Transport(t, ours, ours.Leaf(t, "other.example", san)))
			if _, err := agent.Sign(t.Context(), newJob(1), nil); err != nil {
				t.Error(err)
			}
		})
	}

	t.Run("an agent of another CA", func(t *testing.T) {
		agent := newAgent(t, url, smartcardtest.Transport(t, others, ours.Leaf(t, gateway)))
		_, err := agent.Sign(t.Context(), newJob(1), nil)
		wantCode(t, err, smartcard.CodeUnreachable)
	})
	t.Run("an agent that nobody verified", func(t *testing.T) {
		careless := smartcardtest.Transport(t, ours, ours.Leaf(t, gateway))
		careless.TLSClientConfig.InsecureSkipVerify = true
		_, err := newAgent(t, url, careless).Sign(t.Context(), newJob(1), nil)
		wantCode(t, err, smartcard.CodeUnreachable)
	})
}
