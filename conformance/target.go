package conformance

import (
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Target is the service that cases run against, and what it knows the caller by. Cases whose parts are missing are
// skipped.
type Target struct {
	Tokens  string // base URL of the token service, which ends in /oauth2
	Signing string // base URL of the Signing Service
	BaRS    string // base URL of the BaRS proxy, which ends in /FHIR/R4
	KeySet  string // URL of a key set

	Audience        string // aud of assertions; default: the token URL
	SigningAudience string // aud of signing requests; default: Signing

	Client string        // client id
	KID    string        // under which Key is registered
	Key    crypto.Signer // the client's
	User   string        // SDS user id that signing requests name; default: 555086689106

	Secret      string // of the client, for the user-restricted grants
	RedirectURI string // that is registered for the client

	Roles  map[Role]string // client ids with a particular lack, of which Key is registered too where they have one
	Bearer string          // access token to use in place of one that Client obtains

	System, Value string // a BaRS target that the catalogue has
	APIKey        string // key of _status

	HTTP *http.Client // nil: http.DefaultClient; redirects are never followed
}

// ErrProduction is wrapped by what Check returns for a production host.
var ErrProduction = errors.New("production is never called")

// productionHosts are the hosts of the real services in production.
var productionHosts = []string{"api.service.nhs.uk", "digital-signature.nhs.uk", "am.nhsidentity.spineservices.nhs.uk"}

// Check refuses a target that is in production or whose addresses are malformed.
func (t *Target) Check() error {
	for name, address := range map[string]string{"tokens": t.Tokens, "signing": t.Signing, "bars": t.BaRS, "key set": t.KeySet} {
		if address == "" {
			continue
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") || u.RawQuery != "" {
			return fmt.Errorf("conformance: the URL for %s, %q, is malformed: want http or https, a host and no query", name, address)
		}
		if isProduction(u.Hostname()) {
			return fmt.Errorf("conformance: %s is a production host: %w; use the integration environment", u.Hostname(), ErrProduction)
		}
	}
	return nil
}

// isProduction reports whether a host is one of the real services in production, or says that it is in production. The
// other environments have a label of their own in front: int.api.service.nhs.uk.
func isProduction(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	named := strings.HasPrefix(host, "prod.") || strings.HasPrefix(host, "live.") || strings.HasPrefix(host, "bars-prod-")
	return named || slices.Contains(productionHosts, host)
}

func (t *Target) audience() string {
	if t.Audience != "" {
		return t.Audience
	}
	return t.Tokens + "/token"
}

func (t *Target) signingAudience() string {
	if t.SigningAudience != "" {
		return t.SigningAudience
	}
	return t.Signing
}

// base returns the base URL of a section; "" where the target has none.
func (t *Target) base(s Section) string {
	switch s {
	case Tokens, UserTokens:
		return t.Tokens
	case Signing:
		return t.Signing
	case BaRS:
		return t.BaRS
	}
	return t.KeySet
}
