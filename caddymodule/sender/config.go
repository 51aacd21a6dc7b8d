package sender

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/outbound"
)

func (s *Sender) provision(ctx caddy.Context, app *caddymodule.App) error {
	s.logger, s.bodies = ctx.Slogger(), app.Group(caddymodule.PoolSender)
	if s.Environment == "" {
		s.Environment = app.Environment
	}
	if s.Replay == 0 {
		s.Replay = defaultReplay
	}
	if err := s.check(); err != nil {
		return err
	}
	var err error
	if s.headers, err = s.fixedHeaders(); err != nil {
		return err
	}
	rules, err := app.Outbound(s.Environment)
	if err != nil {
		return err
	}
	if s.Bars != nil {
		if err := s.Bars.provision(ctx, rules, s.logger); err != nil {
			return err
		}
	}
	if s.Environment == caddymodule.Sandbox {
		return nil
	}
	if address, err := url.Parse(s.TokenURL); err != nil {
		return fmt.Errorf("token_url %q is not a URL", s.TokenURL)
	} else if err := rules.CheckURL(address); err != nil {
		return fmt.Errorf("token_url: %w", err)
	}
	s.http = outbound.New(rules)
	s.sources = map[string]*oauth.Source{}
	if len(s.Providers) == 0 {
		s.sources[""], err = s.source(app, &s.Keys)
		return err
	}
	for name, keys := range s.Providers {
		if keys.Client == "" {
			keys.Client = s.Client
		}
		if s.sources[name], err = s.source(app, keys); err != nil {
			return fmt.Errorf("provider %s: %w", name, err)
		}
	}
	return nil
}

// source makes the source of one provider's tokens.
func (s *Sender) source(app *caddymodule.App, keys *Keys) (*oauth.Source, error) {
	client, err := caddy.NewReplacer().ReplaceOrErr(keys.Client, true, true)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	if keys.Key == nil {
		return nil, errors.New("no key: add key <kid> <PEM file>; caddy countersign keygen makes one")
	}
	current, err := jwks.ReadSigner(keys.Key.KID, keys.Key.Path)
	if err != nil {
		return nil, err
	}
	signers := []*jwks.Signer{current}
	var published time.Time
	if keys.Next != nil {
		next, err := jwks.ReadSigner(keys.Next.KID, keys.Next.Path)
		if err != nil {
			return nil, fmt.Errorf("next: %w", err)
		}
		if next.KID() == current.KID() {
			return nil, fmt.Errorf("next: the kid %s is that of the current key: a kid must name one key", next.KID())
		}
		signers, published = append(signers, next), keys.Next.Published
	}
	return oauth.NewSource(oauth.SourceOptions{
		TokenURL: s.TokenURL, Audience: s.Audience, ClientID: client, NextPublished: published,
		Signers: func(context.Context) ([]*jwks.Signer, error) { return signers, nil },
		HTTP:    s.http, Now: app.Now, Logger: s.logger,
	})
}

// replayMost is the largest replay, in bytes: each request keeps up to that much in memory.
const replayMost = 256 << 20

// check refuses invalid settings and mixed environments.
func (s *Sender) check() error {
	if err := s.Environment.Check(); err != nil {
		return err
	}
	if err := caddymodule.CheckCount("replay", int64(s.Replay), replayMost); err != nil {
		return err
	}
	if s.Environment == caddymodule.Sandbox {
		return s.checkBars()
	}
	if s.TokenURL == "" {
		s.TokenURL = s.Environment.TokenURL()
	}
	if s.Audience == "" {
		s.Audience = s.TokenURL
	}
	for _, named := range []struct{ what, address string }{{"token_url", s.TokenURL}, {"audience", s.Audience}} {
		if err := s.Environment.CheckHost(named.what, named.address); err != nil {
			return err
		}
	}
	if err := s.checkBars(); err != nil {
		return err
	}
	return s.checkProviders()
}

func (s *Sender) checkBars() error {
	if s.Bars == nil {
		return nil
	}
	return s.Bars.check(s)
}

// checkProviders refuses keys that no request would use, and requests that no key would serve.
func (s *Sender) checkProviders() error {
	switch {
	case len(s.Providers) > 0 && s.Provider == "":
		return errors.New("providers without provider_by: add provider_by {header.X-Provider}, or another placeholder that names a request's provider")
	case len(s.Providers) == 0 && s.Provider != "":
		return errors.New("provider_by without a provider: add provider <name> { key … } for each provider")
	case len(s.Providers) > 0 && s.Key != nil:
		return errors.New("the sender's own key would never be used beside its providers' keys: move it into a provider")
	case s.Client == "" && len(s.Providers) == 0:
		return errors.New("no client: add client with the application's API key")
	}
	for name, keys := range s.Providers {
		if keys == nil || keys.Client == "" && s.Client == "" {
			return fmt.Errorf("provider %s has no client: add client with the application's API key", name)
		}
	}
	return nil
}

// fixedHeaders returns the headers added to every request.
func (s *Sender) fixedHeaders() (map[string]string, error) {
	headers := map[string]string{}
	if s.Accept != "" {
		headers["Accept"] = s.Accept
	}
	for _, described := range []struct{ what, resource, header, value string }{
		{"organisation", "Organization", "NHSD-End-User-Organisation", s.Organisation},
		{"software", "Device", "NHSD-Requesting-Software", s.Software},
	} {
		if described.value == "" {
			continue
		}
		encoded, err := resourceHeader(described.resource, described.value)
		if err != nil {
			return nil, fmt.Errorf("%s %w", described.what, err)
		}
		headers[described.header] = encoded
	}
	return headers, nil
}

// resourceHeader encodes a FHIR resource for a header: padded standard base64 of its JSON.
func resourceHeader(resource, value string) (string, error) {
	if strings.HasPrefix(value, "{env.") || strings.HasPrefix(value, "{file.") { // only these: JSON's braces are not placeholders
		var err error
		if value, err = caddy.NewReplacer().ReplaceOrErr(value, true, true); err != nil {
			return "", err
		}
	}
	var is struct {
		ResourceType string `json:"resourceType"`
	}
	var compact bytes.Buffer
	if json.Unmarshal([]byte(value), &is) != nil || is.ResourceType != resource || json.Compact(&compact, []byte(value)) != nil {
		return "", fmt.Errorf("is not the JSON of a FHIR %s, such as {\"resourceType\":%q,…}; {file.<path>} reads it from a file", resource, resource)
	}
	return base64.StdEncoding.EncodeToString(compact.Bytes()), nil
}
