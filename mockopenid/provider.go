package mockopenid

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/jwks"
)

// Person is a made-up person.
type Person struct {
	ID    string `json:"id"`    // the user id: sub
	Name  string `json:"name"`  // the name shown
	Level int    `json:"level"` // of authentication assurance, 1 to 3
}

// Client is a client that may send people here to sign in.
type Client struct {
	ID           string   `json:"id"`
	Secret       string   `json:"secret"`
	RedirectURIs []string `json:"redirect_uris"`
	LogoutURI    string   `json:"logout_uri,omitempty"` // for OpenID back-channel logout; empty: not told of logouts
}

// Vault keeps the mock's key, so that it survives a restart and is the same on every node.
type Vault interface {
	Load(ctx context.Context, name string) ([]byte, error) // fs.ErrNotExist if the name is unknown
	Save(ctx context.Context, name string, data []byte) error
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
}

// Options configure a Provider. All but HTTP, Now and Logger are mandatory.
type Options struct {
	// BaseURL is the issuer: the mock's public URL without a trailing slash.
	BaseURL func(r *http.Request) (string, error)
	People  []Person
	Clients []Client
	Vault   Vault

	HTTP   *http.Client     // for logout tokens; default: one with a timeout of 10 s
	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default: nothing is logged
}

const (
	keyName = "countersign/mock/openid.pem"
	kid     = "mock-openid"
	keyBits = 2048
)

// Provider stands in for an OpenID provider, at paths relative to where its caller mounts it.
type Provider struct {
	Options
	mu     sync.Mutex
	signer *jwks.Signer
}

// New makes a Provider. Its key is read, or made, at the first use.
func New(options Options) (*Provider, error) {
	if options.BaseURL == nil || options.Vault == nil {
		return nil, errors.New("a mock provider needs a base URL and a vault")
	}
	if len(options.People) == 0 || len(options.Clients) == 0 {
		return nil, errors.New("has nobody to be, or nobody to sign in for; add person <id> <name> <level>, and client <id> { secret …; redirect_uri … }")
	}
	for i, person := range options.People {
		if person.ID == "" || person.Level < 1 || person.Level > 3 {
			return nil, fmt.Errorf("person %s: the level must be 1, 2 or 3", person.ID)
		}
		if slices.ContainsFunc(options.People[:i], func(other Person) bool { return other.ID == person.ID }) {
			return nil, fmt.Errorf("person %s is listed twice", person.ID)
		}
	}
	for _, client := range options.Clients {
		if client.ID == "" || client.Secret == "" || len(client.RedirectURIs) == 0 {
			return nil, fmt.Errorf("client %s: needs a secret and a redirect_uri", client.ID)
		}
	}
	if options.HTTP == nil {
		options.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	return &Provider{Options: options}, nil
}

// ServeHTTP answers every path under the mock's.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	base, err := p.BaseURL(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusMisdirectedRequest)
		return
	}
	signer, err := p.key(r.Context())
	if err != nil {
		p.Logger.LogAttrs(r.Context(), slog.LevelError, "the mock provider has no key", slog.String("error", err.Error()))
		http.Error(w, "The mock provider has no key; its log says why.", http.StatusServiceUnavailable)
		return
	}
	call := &call{Provider: p, base: base, signer: signer}
	switch r.Method + " " + r.URL.Path {
	case "GET /.well-known/openid-configuration":
		call.discovery(w)
	case "GET /jwks.json":
		call.keys(w)
	case "GET /authorize":
		call.choose(w, r)
	case "POST /authorize":
		call.chosen(w, r)
	case "POST /token":
		call.token(w, r)
	case "GET /userinfo":
		call.userInfo(w, r)
	case "GET /logout":
		call.whoLeaves(w, r)
	case "POST /logout":
		call.leave(w, r)
	default:
		http.NotFound(w, r)
	}
}

// call is one request.
type call struct {
	*Provider
	base   string
	signer *jwks.Signer
}

// key reads the mock's key, or makes it. Only one node per vault makes one.
func (p *Provider) key(ctx context.Context) (*jwks.Signer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.signer != nil {
		return p.signer, nil
	}
	text, err := p.Vault.Load(ctx, keyName)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = p.makeKey(ctx)
	}
	if err != nil {
		return nil, err
	}
	p.signer, err = jwks.ParseSigner(kid, text)
	return p.signer, err
}

func (p *Provider) makeKey(ctx context.Context) (text []byte, err error) {
	if err := p.Vault.Lock(ctx, keyName); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Vault.Unlock(context.WithoutCancel(ctx), keyName)) }()
	if text, err = p.Vault.Load(ctx, keyName); !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	private, err := jwks.GenerateRSA(keyBits, nil)
	if err != nil {
		return nil, err
	}
	made, err := jwks.NewSigner(kid, private)
	if err != nil {
		return nil, err
	}
	return made.MarshalPEM(), p.Vault.Save(ctx, keyName, made.MarshalPEM())
}

// discovery returns the provider's metadata (OpenID Connect Discovery §3).
func (c *call) discovery(w http.ResponseWriter) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer": c.base, "authorization_endpoint": c.base + "/authorize", "token_endpoint": c.base + "/token",
		"userinfo_endpoint": c.base + "/userinfo", "jwks_uri": c.base + "/jwks.json", "end_session_endpoint": c.base + "/logout",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS512"}, "scopes_supported": []string{"openid", "profile"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post"}, "code_challenge_methods_supported": []string{"S256"},
		"authorization_response_iss_parameter_supported": true, "backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
	})
}

func (c *call) keys(w http.ResponseWriter) {
	set, err := c.signer.PublicSet()
	if err != nil {
		http.Error(w, "the key cannot be published", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_, _ = w.Write(set)
}

func (p *Provider) person(id string) (Person, bool) {
	i := slices.IndexFunc(p.People, func(person Person) bool { return person.ID == id })
	if i < 0 {
		return Person{}, false
	}
	return p.People[i], true
}

func (p *Provider) client(id string) (Client, bool) {
	i := slices.IndexFunc(p.Clients, func(client Client) bool { return client.ID == id })
	if i < 0 {
		return Client{}, false
	}
	return p.Clients[i], true
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil { // only our own types are encoded
		http.Error(w, "cannot encode the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(data) // the caller may have gone
}

// with adds values to a URL that may have some already.
func with(address string, values url.Values) string {
	joint := "?"
	if strings.Contains(address, "?") {
		joint = "&"
	}
	return address + joint + values.Encode()
}
