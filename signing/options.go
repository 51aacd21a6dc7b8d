package signing

import (
	"cmp"
	"context"
	"crypto/fips140"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/store"
)

// Limits of a request (SIG-1.3, SIG-1.9).
const (
	MaxBody     = 2 << 20 // bytes of a signing request
	MaxPayloads = 250     // payloads of one request
	MaxState    = 1 << 10 // bytes of the caller's state, as it came
)

// Client is a system that may ask for signatures.
type Client struct {
	Name       string   // what the page calls it
	Callback   string   // where the browser goes when it is over
	Webhook    string   // where it is told server to server when it is over; empty: it is not
	Algorithms []string // of payload signatures; empty: RS256
	// MaxSessions is how many sessions it may have at one time, about; 0: DefaultMaxSessions.
	MaxSessions int
}

// KeySource finds the key that a client registered under a kid.
type KeySource interface {
	Key(ctx context.Context, client, kid string) (*jwks.Key, error)
}

// Agent signs with smartcards. It is never trusted: what it returns is verified.
type Agent interface {
	Sign(ctx context.Context, job smartcard.Job, signed func(id string)) (*smartcard.Result, error)
	Health(ctx context.Context) (smartcard.Health, error)
}

// Runner runs the jobs of agents, and owns them: they outlive the call, and even the Service, that began them.
// Jobs is one.
type Runner interface {
	Run(job func(ctx context.Context)) error
}

// Route is a way to smartcards and the users it serves, as patterns such as 5550*; no pattern means every user.
type Route struct {
	Name  string // for logs and /_status
	Users []string
	Agent Agent // nil: the agent is on the person's own machine, and the page drives it (AGT-B)
	// Timeout is how long the page waits for the answer of an agent that it drives. Default 5 minutes.
	Timeout time.Duration
}

// local says that the page drives the agent.
func (r Route) local() bool { return r.Agent == nil }

func (r Route) serves(sub string) bool {
	return len(r.Users) == 0 || slices.ContainsFunc(r.Users, func(pattern string) bool {
		ok, err := path.Match(pattern, sub)
		return err == nil && ok
	})
}

// Caller is who makes a call, as far as the access check knows. Open access knows nobody.
type Caller struct {
	Client string
	User   string
}

// Trust says whose certificates may stand behind a signature (SIG-5).
type Trust struct {
	certificates.Policy
	// Mock returns the certificate of the installation's own mock CA; nil: it is not trusted. It counts only
	// in sessions opened with mock=true, or where no real way to a card is configured.
	Mock func(ctx context.Context) (*x509.Certificate, error)
}

// Durations of a session. Zero means the default.
type Durations struct {
	Sign      time.Duration // from request to signature; default 30 minutes
	Result    time.Duration // how long signatures can be fetched; default 1 hour
	Lease     time.Duration // how long a silent node keeps a session in signing; default 30 seconds
	Skew      time.Duration // tolerated clock difference; default 60 seconds
	ReadBody  time.Duration // for the whole body of a request to arrive; default 30 seconds
	Heartbeat time.Duration // shortest time between two writes of progress; default 250 ms
}

// Options are everything a Service needs. Store, Keys, Runner, Access and BaseURL are mandatory.
type Options struct {
	Environment string // "int" or "prod", which refuses mocks and plain-http callbacks
	// BaseURL is the service's public URL without a trailing slash: the one source of audiences, redirects
	// and Origin checks. It is asked for each request, since an installation that is loopback only may leave
	// it to the request.
	BaseURL func(r *http.Request) (string, error)
	// Access names the caller or refuses it, before anything of the body is read.
	Access func(r *http.Request) (Caller, error)

	Clients map[string]Client
	Keys    KeySource
	Store   store.Store
	Quotas  *Quotas // of Store, shared by all services on it; nil: its own
	Runner  Runner
	Agents  []Route // real cards, in the order in which the page tries those that serve the user
	Mock    *Route  // for mock=true, and for everything where Agents is empty
	Trust   Trust

	Durations Durations
	Tries     int  // runs of an agent before a session fails; default 5
	Once      bool // signatures can be fetched once only

	SignIn SignIn // that the page demands before it opens; nil: it demands none
	// SealSignIns is the secret that sign-ins are sealed with while browsers keep them: 32 random bytes that all nodes
	// share. Mandatory with SignIn.
	SealSignIns func(context.Context) ([]byte, error)

	Displays     Displays // of prescriptions, for the page; nil: it shows ids and digests
	DisplayRules DisplayRules

	PublicKeys func(ctx context.Context) ([]byte, error) // the gateway's own key set, as JSON
	Version    Version
	StatusKey  string // what /_status wants in the header apikey; empty: nobody may read it

	Webhooks Webhooks // mandatory where a client has a webhook

	// Requests, Calls and SignIns are those who send signing requests, those whose pages call, and those who come back
	// from their provider, until they have proven who they are; Working are requests that have arrived whole. Default:
	// MaxHeld, MaxHeldCalls, MaxSignIns and MaxWorking, in pools of this service's own.
	Requests, Calls, SignIns, Working *intake.Group

	Observer Observer // is told what happens; nil: nobody is
	// Hold is called before a refusal is answered that may be a stranger's, and may wait; nil: none waits.
	Hold func(w http.ResponseWriter, r *http.Request)
	// Span begins a span of whatever trace the context stands in, and returns how to end it; nil: none is traced.
	Span func(ctx context.Context, name string) (context.Context, func(error))

	Auditor       Auditor // keeps a record of each batch; nil: none is kept
	AuditOptional bool    // release signatures also when the Auditor fails

	Now    func() time.Time
	Rand   io.Reader
	Logger *slog.Logger
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
	if o.Store == nil || o.Keys == nil || o.Runner == nil || o.BaseURL == nil || o.Access == nil {
		return errors.New("a signing service needs a store, keys, a runner, an access check and a base URL")
	}
	if o.SignIn != nil && o.SealSignIns == nil {
		return errors.New("a signing service that has people sign in needs a secret to seal their sign-ins with")
	}
	for id, client := range o.Clients {
		if err := o.checkClient(id, client); err != nil {
			return err
		}
	}
	for i := range o.Agents {
		setDefault(&o.Agents[i].Timeout, 5*time.Minute)
		for _, pattern := range o.Agents[i].Users {
			if _, err := path.Match(pattern, ""); err != nil {
				return fmt.Errorf("agent %s: users pattern %q: %w", o.Agents[i].Name, pattern, err)
			}
		}
	}
	if o.production() && (o.Mock != nil || o.Trust.Mock != nil) {
		return errors.New("production refuses a mock, and trust in one")
	}
	o.setDefaults()
	if o.Quotas == nil {
		o.Quotas = NewQuotas(o.Store, o.Now)
	}
	if o.Durations.Lease < 4*o.Durations.Heartbeat {
		return fmt.Errorf("a lease of %s is too short: it is renewed every %s at the soonest; make it at least four times that",
			o.Durations.Lease, o.Durations.Heartbeat)
	}
	return nil
}

func (o *Options) checkClient(id string, client Client) error {
	if len(id) > maxID {
		return fmt.Errorf("client %.20s…: the id has more than %d bytes", id, maxID)
	}
	if err := client.check(); err != nil {
		return fmt.Errorf("client %s: %w", id, err)
	}
	for name, address := range map[string]string{"callback": client.Callback, "webhook": client.Webhook} {
		if o.production() && strings.HasPrefix(address, "http:") {
			return fmt.Errorf("client %s: %s %q is plain http, which production refuses", id, name, address)
		}
	}
	if client.Webhook != "" && o.Webhooks.Seal == nil {
		return fmt.Errorf("client %s: has a webhook, and there is nothing to seal its tokens with", id)
	}
	return nil
}

func (o *Options) production() bool { return o.Environment == "prod" }

func (o *Options) setDefaults() {
	setDefault(&o.Durations.Sign, 30*time.Minute)
	setDefault(&o.Durations.Result, time.Hour)
	setDefault(&o.Durations.Lease, 30*time.Second)
	setDefault(&o.Durations.Skew, time.Minute)
	setDefault(&o.Durations.ReadBody, 30*time.Second)
	setDefault(&o.Durations.Heartbeat, 250*time.Millisecond)
	if o.Tries <= 0 {
		o.Tries = 5
	}
	if o.Trust.MinBits <= 0 {
		o.Trust.MinBits = certificates.DefaultMinBits
	}
	o.Requests = cmp.Or(o.Requests, intake.NewGroup("requests", MaxHeld, 0))
	o.Calls = cmp.Or(o.Calls, intake.NewGroup("calls", MaxHeldCalls, 0))
	o.SignIns = cmp.Or(o.SignIns, intake.NewGroup("sign_ins", MaxSignIns, 1))
	o.Working = cmp.Or(o.Working, intake.NewGroup("working", MaxWorking, 1))
	if o.Span == nil {
		o.Span = func(ctx context.Context, _ string) (context.Context, func(error)) { return ctx, func(error) {} }
	}
	if o.Observer == nil {
		o.Observer = nobody{}
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
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

// check says what is wrong with a client's part of the configuration, and how to mend it.
func (c Client) check() error {
	for _, algorithm := range c.Algorithms {
		switch algorithm {
		case RS256, PS256:
		case RS1:
			if fips140.Enforced() {
				return errors.New("RS1 signs with SHA-1, which this FIPS-only process refuses; take RS1 out of algorithms")
			}
		default:
			return fmt.Errorf("algorithm %q is not known; use RS1, RS256 or PS256", algorithm)
		}
	}
	if c.MaxSessions < 0 {
		return fmt.Errorf("max_sessions %d is no number of sessions", c.MaxSessions)
	}
	if c.Callback == "" {
		return errors.New("has no callback; give the URL the browser returns to")
	}
	u, err := url.Parse(c.Callback)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("callback %q is not an absolute http or https URL", c.Callback)
	}
	if u.Fragment != "" || u.User != nil {
		return fmt.Errorf("callback %q may have neither a fragment nor a user in it", c.Callback)
	}
	return nil
}

// algorithms are those that the client may use.
func (c Client) algorithms() []string {
	if len(c.Algorithms) == 0 {
		return []string{RS256}
	}
	return c.Algorithms
}

func (c Client) allows(algorithm string) bool { return slices.Contains(c.algorithms(), algorithm) }
