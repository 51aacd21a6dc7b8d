package caddymodule

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dd2befc3/countersign/caddymodule/pool"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/oauth/openid"
	"github.com/seed-dd2befc3/countersign/outbound"
)

// OpenID is an OpenID provider for sign-in, such as NHS CIS2, with the gateway as its client. Its metadata is fetched at
// the first sign-in, never when a configuration is loaded.
type OpenID struct {
	// Issuer is the provider's issuer, exactly as the provider writes it.
	Issuer string `json:"issuer"`

	// ClientID is this gateway's client id at the provider.
	ClientID string `json:"client_id,omitempty"`

	// Secret is the client secret with which the gateway authenticates at the provider. It may be a placeholder such as
	// {file./run/secrets/cis2}. Set either Secret or Key.
	Secret string `json:"secret,omitempty"`

	// Key signs assertions (private_key_jwt, RS512) with which the gateway authenticates instead.
	Key *ClientKey `json:"key,omitempty"`

	// Scopes are the requested scopes. Default: openid.
	Scopes []string `json:"scopes,omitempty"`

	// Name is the name of the provider's check in a token service's /_status. Default: nhs-cis2 for the first provider,
	// the issuer for others.
	Name string `json:"name,omitempty"`

	// ACR is the acr_values sent when a client's /authorize request names none. Default: AAL3_ANY.
	ACR []string `json:"acr,omitempty"`

	// UserClaim is the claim of the ID token that holds the user id. Default: sub.
	UserClaim string `json:"user_claim,omitempty"`

	provider pool.Share[*openProvider]
}

// openProvider is a provider in the pool, with its fetched metadata.
type openProvider struct{ *openid.Provider }

// Destruct ends running fetches.
func (o *openProvider) Destruct() error {
	o.Close()
	return nil
}

// provisionOpenID makes the providers or joins running ones. It fetches nothing.
func (a *App) provisionOpenID() error {
	rules, err := a.Outbound(a.Environment)
	if err != nil {
		return err
	}
	for i, provider := range a.OpenID {
		if provider == nil { // possible only in JSON
			return errors.New("countersign: openid is null: give its issuer, or remove it")
		}
		if slices.ContainsFunc(a.OpenID[:i], func(other *OpenID) bool { return other.Issuer == provider.Issuer }) {
			return fmt.Errorf("countersign: openid %s is configured twice", provider.Issuer)
		}
		if provider.Name == "" && i == 0 {
			provider.Name = defaultProviderName
		}
		if err := provider.checkName(a.OpenID[:i]); err != nil {
			return fmt.Errorf("countersign: openid %s: %w", provider.Issuer, err)
		}
		if err := provider.provision(a, rules); err != nil {
			return fmt.Errorf("countersign: openid %s: %w", provider.Issuer, err)
		}
	}
	return nil
}

// defaultProviderName is the name that the real service uses for its provider of NHS staff (TOK-8.14).
const defaultProviderName = "nhs-cis2"

// checkName refuses a name that another provider or another check already has.
func (o *OpenID) checkName(others []*OpenID) error {
	taken := slices.ContainsFunc(others, func(other *OpenID) bool { return o.Name != "" && other.Name == o.Name })
	if taken || o.Name == "store" || o.Name == "audit" {
		return fmt.Errorf("name %s is taken by another check of /_status: set another name", o.Name)
	}
	return nil
}

func (o *OpenID) provision(a *App, rules outbound.Options) error {
	if err := a.checkReach("issuer", o.Issuer); err != nil {
		return err
	}
	var err error
	options := openid.Options{
		Name: o.Name, Issuer: o.Issuer, ClientID: o.ClientID, Scopes: o.Scopes, ACR: strings.Join(o.ACR, " "), UserClaim: o.UserClaim,
		HTTP: outbound.New(rules), Now: a.now, Logger: a.logger,
	}
	if options.Secret, err = secretOf(o.Secret); err != nil {
		return fmt.Errorf("secret: %w", err)
	}
	var key []byte
	if o.Key != nil {
		if options.Signer, err = jwks.ReadSigner(o.Key.KID, o.Key.Path); err != nil {
			return err
		}
		key = options.Signer.MarshalPEM()
	}
	// The settings that identify the provider in the pool. They include secrets, so the key is a hash.
	same, err := json.Marshal([]any{o.Name, o.ClientID, o.Key, o.Scopes, o.ACR, o.UserClaim, options.Secret, key, rules.AllowLocalhost, rules.AllowNetworks})
	if err != nil {
		return err
	}
	_, err = o.provider.Acquire(fmt.Sprintf("openid %s %x", o.Issuer, sha256.Sum256(same)), func() (*openProvider, error) {
		made, err := openid.New(options)
		return &openProvider{made}, err
	})
	return err
}

// secretOf resolves the placeholder in a secret. A trailing line break, as in a file, is removed.
func secretOf(text string) (string, error) {
	secret, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	return strings.TrimRight(secret, "\r\n"), err
}

// providers returns the OpenID providers.
func (a *App) providers() []oauth.Provider {
	found := make([]oauth.Provider, len(a.OpenID))
	for i, o := range a.OpenID {
		found[i] = o.provider.Value().Provider
	}
	return found
}

// openID finds a provider by issuer. Without an issuer, it returns the first.
func (a *App) openID(issuer string) (*openid.Provider, error) {
	for _, o := range a.OpenID {
		if issuer == "" || o.Issuer == issuer {
			return o.provider.Value().Provider, nil
		}
	}
	if issuer == "" {
		return nil, errors.New("no OpenID provider is configured for sign-in: add openid <issuer> { client_id … } to the global option countersign")
	}
	return nil, fmt.Errorf("openid %s is not configured: add openid %s { client_id … } to the global option countersign", issuer, issuer)
}

// openIDStatus returns the state of the providers without contacting them.
func (a *App) openIDStatus() []openid.Status {
	found := make([]openid.Status, len(a.OpenID))
	for i, o := range a.OpenID {
		found[i] = o.provider.Value().Status()
	}
	return found
}

// openIDErrors returns the error of each provider by issuer, empty if it could be read.
func (a *App) openIDErrors() map[string]string {
	found := map[string]string{}
	for _, status := range a.openIDStatus() {
		found[status.Issuer] = cmp.Or(providerError(status), found[status.Issuer])
	}
	return found
}

// releaseOpenID releases the providers.
func (a *App) releaseOpenID() error {
	var errs []error
	for _, o := range a.OpenID {
		if o != nil {
			errs = append(errs, o.provider.Release())
		}
	}
	return errors.Join(errs...)
}
