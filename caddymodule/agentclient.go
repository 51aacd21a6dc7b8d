package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/smartcard"
)

// AgentClient configures how the gateway reaches a smartcard agent: an https address, and Caddy's http transport with the
// gateway's client certificate and the trust pool for the agent's.
type AgentClient struct {
	// URL is the agent's address, or "credential_management" if the agent runs on the person's own machine and the page
	// drives it. Then only Users and Timeout are used.
	URL string `json:"url"`

	// Users are the users whom the agent serves, as patterns such as 5550*. Default: every user.
	Users []string `json:"users,omitempty"`

	// Timeout bounds one job. Default 5 minutes.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	// Idle bounds the agent's silence, including the time a person needs to type a PIN. Default 1 minute.
	Idle caddy.Duration `json:"idle,omitempty"`

	// Transport is Caddy's http transport. tls.client_certificate_automate or client_certificate_file, and tls.ca,
	// are mandatory.
	Transport *reverseproxy.HTTPTransport `json:"transport,omitempty"`
}

// route makes the route to the agent. It does not connect.
func (a *AgentClient) route(ctx caddy.Context) (signing.Route, error) {
	if a.ownMachine() {
		return a.ownMachineRoute(), nil
	}
	if err := a.check(); err != nil {
		return signing.Route{}, fmt.Errorf("agent %s: %w", a.URL, err)
	}
	// An agent is reached directly, even if the environment names a proxy.
	a.Transport.NetworkProxyRaw = json.RawMessage(`{"from":"none"}`)
	if a.Transport.MaxResponseHeaderSize == 0 {
		a.Transport.MaxResponseHeaderSize = 64 << 10 // Caddy's own default of 10 MiB is for sites of all kinds
	}
	if err := a.Transport.Provision(ctx); err != nil {
		return signing.Route{}, fmt.Errorf("agent %s: %w", a.URL, err)
	}
	agent, err := smartcard.NewAgent(smartcard.AgentOptions{
		URL: a.URL, Transport: a.Transport.Transport,
		Timeout: time.Duration(a.Timeout), Idle: time.Duration(a.Idle), Logger: ctx.Slogger(),
	})
	if err != nil {
		return signing.Route{}, err
	}
	return signing.Route{Name: a.URL, Users: a.Users, Agent: agent}, nil
}

func (a *AgentClient) check() error {
	u, err := url.Parse(a.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return errors.New("the address must be an https URL")
	}
	return CheckMutualTLS(a.Transport, "the agent")
}

// CheckMutualTLS refuses a transport without a client certificate, or without its own trust pool for the other side's
// certificate.
func CheckMutualTLS(transport *reverseproxy.HTTPTransport, to string) error {
	if transport == nil || transport.TLS == nil {
		return fmt.Errorf("has no TLS: add tls_client_auth with the gateway's certificate, and tls_trust_pool with the issuers of the certificate of %s", to)
	}
	tls := transport.TLS
	switch {
	case tls.InsecureSkipVerify:
		return fmt.Errorf("tls_insecure_skip_verify is refused: the certificate of %s is always verified", to)
	case tls.ClientCertificateAutomate == "" && tls.ClientCertificateFile == "":
		return errors.New("has no client certificate: add tls_client_auth with a name that Caddy manages, or with a certificate file and a key file")
	case tls.CARaw == nil && len(tls.RootCAPEMFiles) == 0 && len(tls.RootCAPool) == 0:
		return fmt.Errorf("has no tls_trust_pool: name the issuers of the certificate of %s, because the system roots are never used", to)
	case IsSystemPool(tls.CARaw):
		return fmt.Errorf("tls_trust_pool system is refused: any public CA could issue a certificate for %s; name its issuers instead", to)
	case strings.Contains(tls.ServerName, "{"):
		return errors.New("tls_server_name cannot be a placeholder here")
	}
	return CheckPoolFiles(tls.CARaw)
}

// IsSystemPool reports whether a trust pool is the system's, which trusts every public CA.
func IsSystemPool(pool json.RawMessage) bool {
	var of struct {
		Provider string `json:"provider"`
	}
	_ = json.Unmarshal(pool, &of) // an unreadable pool is refused when it is loaded
	return of.Provider == "system"
}
