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

// OpenID is an OpenID provider that people sign in at, such as NHS CIS2, and the gateway as its client. What it says
// of itself is fetched when somebody first signs in, never when a configuration is loaded.
type OpenID struct {
	// Issuer is the provider's issuer, letter by letter as it has it.
	Issuer string `json:"issuer"`

	// ClientID is what the provider calls this gateway.
	ClientID string `json:"client_id,omitempty"`

	// Secret is the client secret, by which the gateway proves itself to the provider. May be a placeholder such as
	// {file./run/secrets/cis2}. Either this or Key.
	Secret string `json:"secret,omitempty"`

	// Key signs assertions (private_key_jwt, RS512), by which the gateway proves itself instead.
	Key *ClientKey `json:"key,omitempty"`

	// Scopes are asked for. Default: openid.
	Scopes []string `json:"scopes,omitempty"`

	// Name is what the provider is called among the checks of a token service's /_status. Default: nhs-cis2 for the
	// first provider, the issuer for others.
	Name string `json:"name,omitempty"`

	// ACR are the values of acr_values where a client's /authorize names none. Default: AAL3_ANY.
	ACR []string `json:"acr,omitempty"`

	// UserClaim is the claim of the ID token that holds the user id. Default: sub.
	UserClaim string `json:"user_claim,omitempty"`

	provider pool.Share[*openProvider]
}

// openProvider is a provider in the pool, with what it fetched.
type openProvider struct{ *openid.Provider }

// Destruct ends fetches that are under way.
func (o *openProvider) Destruct() error {
	o.Close()
	return nil
}

// provisionOpenID makes the providers, or joins those that run. Nothing is fetched.
func (a *App) provisionOpenID() error {
	rules, err := a.Outbound(a.Environment)
	if err != nil {
		return err
	}
	for i, provider := range a.OpenID {
		if provider == nil { // which only JSON can say
			return errors.New("countersign: openid is null; write its issuer, or take it out")
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

// defaultProviderName is that of the real service's provider of people who work in the NHS (TOK-8.14).
const defaultProviderName = "nhs-cis2"

// checkName refuses a name that another provider has, or one of the checks beside the providers'.
func (o *OpenID) checkName(others []*OpenID) error {
	taken := slices.ContainsFunc(others, func(other *OpenID) bool { return o.Name != "" && other.Name == o.Name })
	if taken || o.Name == "store" || o.Name == "audit" {
		return fmt.Errorf("name %s is that of another check of /_status; write name with another word", o.Name)
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
	// What makes another provider of it; a secret is in the name as a hash alone.
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

// secretOf is a secret of the configuration, with its placeholder resolved. A file may end with a line break.
func secretOf(text string) (string, error) {
	secret, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	return strings.TrimRight(secret, "\r\n"), err
}

// providers are those that people can sign in at.
func (a *App) providers() []oauth.Provider {
	found := make([]oauth.Provider, len(a.OpenID))
	for i, o := range a.OpenID {
		found[i] = o.provider.Value().Provider
	}
	return found
}

// openID finds a provider by its issuer; the first where none is named.
func (a *App) openID(issuer string) (*openid.Provider, error) {
	for _, o := range a.OpenID {
		if issuer == "" || o.Issuer == issuer {
			return o.provider.Value().Provider, nil
		}
	}
	if issuer == "" {
		return nil, errors.New("people have nowhere to sign in; add openid <issuer> { client_id … } to the global option countersign")
	}
	return nil, fmt.Errorf("openid %s is not configured; add openid %s { client_id … } to the global option countersign", issuer, issuer)
}

// openIDStatus tells how the providers are doing, without asking them.
func (a *App) openIDStatus() []openid.Status {
	found := make([]openid.Status, len(a.OpenID))
	for i, o := range a.OpenID {
		found[i] = o.provider.Value().Status()
	}
	return found
}

// openIDErrors are why the providers could not be read, by issuer; empty for those that could.
func (a *App) openIDErrors() map[string]string {
	found := map[string]string{}
	for _, status := range a.openIDStatus() {
		found[status.Issuer] = cmp.Or(providerError(status), found[status.Issuer])
	}
	return found
}

// releaseOpenID lets go of the providers.
func (a *App) releaseOpenID() error {
	var errs []error
	for _, o := range a.OpenID {
		if o != nil {
			errs = append(errs, o.provider.Release())
		}
	}
	return errors.Join(errs...)
}
