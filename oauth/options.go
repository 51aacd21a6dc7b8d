package oauth

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/store"
)

// ScopePrefix begins the scopes that an application may hold without a user (TOK-2.25, TOK-4.1).
const ScopePrefix = "urn:nhsd:apim:app:level3:"

// Client is a client system that may ask for tokens. One that is revoked is not among them.
type Client struct {
	Scopes   []string // the union of its products'; those with ScopePrefix go into its tokens
	Products []string // the names of its products
	Rate     int      // tokens a minute; 0: no limit

	// What follows is for tokens with a user.
	Secret       string   // its client_secret; empty: it cannot redeem codes
	RedirectURIs []string // where codes may go, letter by letter
	Audiences    []string // its own client ids at providers: the aud of ID tokens that it may exchange
}

// KeySource finds the key that a client registered under a kid. Its errors unwrap to those of package jwks.
type KeySource interface {
	Key(ctx context.Context, client, kid string) (*jwks.Key, error)
}

// Auditor keeps a record of each token, before there is one. It has kept it for good when it returns without an error.
type Auditor interface {
	Record(ctx context.Context, record AuditRecord) error
	// Err is why records cannot be kept at present; nil where they can.
	Err() error
}

// AuditRecord says which token was issued, to whom, and on the strength of which key.
type AuditRecord struct {
	Client   string    `json:"client"`
	Outcome  string    `json:"outcome,omitempty"` // empty: issued; not_kept after that, and then nobody was told the token; repeated: told once more
	KID      string    `json:"kid,omitempty"`     // empty: of a secret
	Token    string    `json:"token"`             // the beginning of its hash, as in the log
	Grant    string    `json:"grant,omitempty"`   // how it was got; empty: by client_credentials
	Person   string    `json:"person,omitempty"`  // the beginning of a hash of the user's provider and id
	Level    string    `json:"level,omitempty"`   // of the user's sign-in
	Family   string    `json:"family,omitempty"`  // the sign-in that it comes of
	Products []string  `json:"products"`
	Issued   time.Time `json:"issued"`
	Expires  time.Time `json:"expires"`
}

// Options are everything a Service needs. BaseURL, Keys and Store are mandatory.
type Options struct {
	// BaseURL is the service's public URL without a trailing slash; with "/token" it is the audience of
	// assertions. It is asked for each request, since an installation that is loopback only may leave it to
	// the request. An error of type *Error is the answer.
	BaseURL func(r *http.Request) (string, error)

	Clients map[string]Client        // by client id
	Revoked func(client string) bool // whether an id that is not among Clients is a revoked client's; nil: none is
	Keys    KeySource
	Store   store.Store

	// Providers are the OpenID providers whose people may be users. Without one there are no tokens with a user.
	Providers []Provider

	// ShorterLives lets a form ask for tokens that live shorter, for tests of clients (TOK-8.1).
	ShorterLives bool

	// RefreshRepeat is how long after its use a refresh token gets the same answer again, if that may have been lost: to
	// the same client, and only until the next refresh token is used (TOK-8.17). 0: never.
	RefreshRepeat time.Duration

	// TellSID adds the provider's session to the answer to a code (TOK-5.12).
	TellSID bool

	Observer func(ctx context.Context, answer Answer) // is told each answer; nil: nobody is

	// Forms are those who send a form, and SignIns those who come back from their provider, until they have proven who
	// they are. Default: MaxForms and MaxSignIns of them, in pools of this service's own.
	Forms, SignIns *intake.Group

	// Hold is called before a refusal is answered that may be a stranger's, and may wait; nil: none waits.
	Hold func(w http.ResponseWriter, r *http.Request)

	Auditor       Auditor // keeps a record of each token before it, and what it spends, is; nil: none is kept
	AuditOptional bool    // tell tokens also when the Auditor fails

	Version   Version
	StatusKey string // what /_status wants in the header apikey; empty: nobody may read it

	Now    func() time.Time // default time.Now
	Rand   io.Reader        // default crypto/rand
	Logger *slog.Logger     // default: nothing is logged
}

// Version is what /_ping tells of the build.
type Version struct {
	Version   string `json:"version"`
	Revision  string `json:"revision"`
	ReleaseID string `json:"releaseId"`
	CommitID  string `json:"commitId"`
}

// complete fills in defaults and refuses what can never work.
func (o *Options) complete() error {
	if o.BaseURL == nil || o.Store == nil {
		return errors.New("a token service needs a base URL and a store")
	}
	o.Forms = cmp.Or(o.Forms, intake.NewGroup("forms", MaxForms*MaxBody, MaxBody))
	o.SignIns = cmp.Or(o.SignIns, intake.NewGroup("sign_ins", MaxSignIns, 1))
	if o.Revoked == nil {
		o.Revoked = func(string) bool { return false }
	}
	if o.Observer == nil {
		o.Observer = func(context.Context, Answer) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}
