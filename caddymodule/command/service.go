package command

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// service is the Signing Service, as this client system.
func (s *signRun) service() (*client.Client, error) {
	if err := checkServiceURL("--url", s.url); err != nil {
		return nil, err
	}
	key, err := os.ReadFile(s.keyFile)
	if err != nil {
		return nil, err
	}
	signer, err := jwks.ParseSigner(s.kid, key)
	if err != nil {
		return nil, fmt.Errorf("--key %s: %w", s.keyFile, err)
	}
	through, err := httpClient(s.caFile)
	if err != nil {
		return nil, err
	}
	service := &client.Client{ID: s.client, Signer: signer, BaseURL: s.url, Audience: s.audience, HTTP: through}
	service.Authorize, err = s.authorize(signer, through)
	return service, err
}

// authorize says how requests get their access token: from the token service, anew when one is about to expire; as it
// was given; or, with nil, not at all.
func (s *signRun) authorize(signer *jwks.Signer, through *http.Client) (func(context.Context, *http.Request) error, error) {
	switch {
	case s.tokenURL != "":
		if err := checkServiceURL("--token-url", s.tokenURL); err != nil {
			return nil, err
		}
		source, err := oauth.NewSource(oauth.SourceOptions{
			TokenURL: s.tokenURL, ClientID: s.client, HTTP: through,
			Signers: func(context.Context) ([]*jwks.Signer, error) { return []*jwks.Signer{signer}, nil },
		})
		if err != nil {
			return nil, err
		}
		return source.Authorize, nil
	case s.bearer != "":
		return func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+s.bearer)
			return nil
		}, nil
	}
	return nil, nil
}

// httpClient reaches a service whose certificate an authority in a PEM file vouches for, or one that the system knows.
func httpClient(caFile string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile != "" {
		authorities, err := certificates.ReadPEM(caFile)
		if err != nil {
			return nil, fmt.Errorf("--ca %s: %w", caFile, err)
		}
		pool := x509.NewCertPool()
		for _, authority := range authorities {
			pool.AddCert(authority)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return &http.Client{Timeout: 30 * time.Second, Transport: transport}, nil
}

// checkServiceURL refuses an address over which a token could be read on its way.
func checkServiceURL(flag, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%s must be the URL of a service, such as https://host/signing-service", flag)
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("%s must be https, but for a service on this machine: tokens go over it", flag)
}
