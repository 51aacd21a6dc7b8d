package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/signing"
)

// Client is a system that may use this gateway.
type Client struct {
	// Name is shown to people, for example on the signing page. Default: the client id.
	Name string `json:"name,omitempty"`

	// JWKS is the https URL of the client's key set (outside production also http on localhost).
	JWKS string `json:"jwks,omitempty"`

	// JWKSFiles are files with key sets.
	JWKSFiles []string `json:"jwks_files,omitempty"`

	// Keys are single public keys. Files are read again when they change.
	Keys []ClientKey `json:"keys,omitempty"`

	// Callback is the URL that the browser goes to when a session ends.
	Callback string `json:"callback,omitempty"`

	// Webhook is the https URL that is called when a session ends (outside production also http on localhost). Default:
	// no webhook is sent.
	Webhook string `json:"webhook,omitempty"`

	// WebhookSecrets are shared with the webhook's receiver, for libraries that verify no Ed25519 signatures: whsec_ and
	// base64 of 24 to 64 bytes. May be placeholders such as {file./run/secrets/acme-webhook}. Each adds a signature; two
	// are for a change.
	WebhookSecrets []string `json:"webhook_secrets,omitempty"`

	// Algorithms of payload signatures: RS1, RS256, PS256. Default: RS256.
	Algorithms []string `json:"algorithms,omitempty"`

	// Products names the products that the client may use.
	Products []string `json:"products,omitempty"`

	// Rate is how many tokens the client may get per minute. Default: the largest rate among its products.
	Rate int `json:"rate,omitempty"`

	// MaxSessions bounds the client's stored signing sessions, including ended ones that are still kept. Further requests
	// are answered 429. Several gateways on one store may admit slightly more. Default: 100000.
	MaxSessions int `json:"max_sessions,omitempty"`

	// Status is "approved" (the default) or "revoked".
	Status string `json:"status,omitempty"`

	// Secret is the client_secret for authorization_code and refresh_token. It may be a placeholder such as
	// {file./run/secrets/acme}.
	Secret string `json:"secret,omitempty"`

	// RedirectURIs are the addresses that a code may be sent to. They must match exactly.
	RedirectURIs []string `json:"redirect_uris,omitempty"`

	// Audiences are the client's own client ids at an OpenID provider. The client may exchange ID tokens with one of
	// these as aud, in addition to the gateway's own.
	Audiences []string `json:"audiences,omitempty"`
}

// ClientKey is one public key of a client: its kid and a PEM file.
type ClientKey struct {
	KID  string `json:"kid"`
	Path string `json:"path"`
}

// maxWebhookSecrets is how many secrets a webhook can have, so that one can be changed.
const maxWebhookSecrets = 2

const (
	statusApproved = "approved"
	statusRevoked  = "revoked"
)

// check returns an error that says what is wrong with the client and what to do.
func (c *Client) check(app *App) error {
	environment := app.Environment
	if c.JWKS != "" {
		if err := app.checkReach("jwks", c.JWKS); err != nil {
			return err
		}
	}
	if c.Webhook != "" {
		if err := app.checkReach("webhook", c.Webhook); err != nil {
			return err
		}
	}
	// A client of the token service may be registered before it has a key (TOK-2.20).
	if c.JWKS == "" && len(c.JWKSFiles) == 0 && len(c.Keys) == 0 && len(c.Products) == 0 && environment != Sandbox {
		return errors.New("has no key: add jwks with a URL or a file, or key with a kid and a PEM file")
	}
	if c.Callback != "" {
		if err := app.checkAddress("callback", c.Callback); err != nil {
			return err
		}
	}
	if err := c.checkRedirects(app); err != nil {
		return err
	}
	if err := c.checkUnused(); err != nil {
		return err
	}
	if !slices.Contains([]string{"", statusApproved, statusRevoked}, c.Status) {
		return fmt.Errorf("unknown status %q: use approved or revoked", c.Status)
	}
	return nil
}

func (c *Client) checkRedirects(app *App) error {
	for _, redirect := range c.RedirectURIs {
		if err := app.checkAddress("redirect_uri", redirect); err != nil {
			return err
		}
		if strings.Contains(redirect, "#") {
			return fmt.Errorf("redirect_uri %q has a fragment, which RFC 6749 §3.1.2 forbids: remove it", redirect)
		}
	}
	return nil
}

// checkUnused refuses options that have no effect without another.
func (c *Client) checkUnused() error {
	switch {
	case len(c.RedirectURIs) > 0 && c.Secret == "":
		return errors.New("has a redirect_uri but no secret, so it could never redeem a code: add secret {file./path}")
	case len(c.WebhookSecrets) > 0 && c.Webhook == "":
		return errors.New("has a secret for webhooks and no webhook; add webhook, or take webhook_secrets out")
	case len(c.WebhookSecrets) > maxWebhookSecrets:
		return fmt.Errorf("webhook has %d secrets, want at most %d: the present one and its successor", len(c.WebhookSecrets), maxWebhookSecrets)
	case c.Secret != "" && len(c.RedirectURIs) == 0:
		return errors.New("has a secret but no redirect_uri, so the secret has no use: add redirect_uri, or remove secret")
	case c.Callback == "" && len(c.Products) > 0 && (c.Webhook != "" || len(c.Algorithms) > 0 || c.MaxSessions != 0):
		return errors.New("has no callback, so it cannot sign, and webhook, algorithms and max_sessions have no effect: add callback, or remove them")
	}
	return nil
}

func (c *Client) forSigning(id string) signing.Client {
	name := c.Name
	if name == "" {
		name = id
	}
	return signing.Client{Name: name, Callback: c.Callback, Webhook: c.Webhook, Algorithms: c.Algorithms, MaxSessions: c.MaxSessions}
}

func (c *Client) keySources(id string) jwks.ClientKeys {
	sources := jwks.ClientKeys{Client: id, URL: c.JWKS, SetFiles: c.JWKSFiles}
	for _, key := range c.Keys {
		sources.Keys = append(sources.Keys, jwks.KeyFile{KID: key.KID, Path: key.Path})
	}
	return sources
}
