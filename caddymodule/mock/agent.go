package mock

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/mocksigner"
	"github.com/seed-dd2befc3/countersign/smartcard"
)

func init() {
	caddy.RegisterModule(&Agent{})
}

// Agent holds a mock smartcard for every user, issued by a CA that is made for this installation and kept in Caddy's
// storage.
type Agent struct {
	// Faults are injected into jobs, each at its rate. Names are those of package mocksigner, such as no_card.
	Faults []mocksigner.Fault `json:"faults,omitempty"`

	// Delay is the wait before each signature, to imitate a real card. Default: none.
	Delay caddy.Duration `json:"delay,omitempty"`

	vault  caddymodule.Vault
	logger *slog.Logger

	mu     sync.Mutex
	signer *mocksigner.Mock
	ca     *mocksigner.CA
	listed time.Time // when the CA's revocation list was published
}

// relist is how old the mock CA's published revocation list may get. The list is valid for a month.
const relist = 6 * time.Hour

// CaddyModule returns the module's information for Caddy.
func (*Agent) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign.agents.mock", New: func() caddy.Module { return new(Agent) }}
}

// Provision refuses production and prepares the first job, which reads or makes the CA.
func (a *Agent) Provision(ctx caddy.Context) error {
	app, err := caddymodule.FromContext(ctx)
	if err != nil {
		return err
	}
	a.vault, a.logger = app.Vault(), ctx.Slogger()
	if err := a.check(); err != nil {
		return fmt.Errorf("smartcard_agent mock: %w", err)
	}
	return outsideProduction(app, "smartcard_agent mock")
}

// check refuses invalid settings before the first job.
func (a *Agent) check() error {
	if err := mocksigner.CheckFaults(a.Faults); err != nil {
		return err
	}
	for _, fault := range a.Faults {
		if fault.User == "" {
			continue
		}
		if err := caddymodule.CheckUsers("fault "+fault.Name+": user", []string{fault.User}); err != nil {
			return err
		}
	}
	return caddymodule.CheckLimits(caddymodule.Limit{Name: "delay", Value: a.Delay, Most: time.Hour, Why: "no gateway waits longer for a job"})
}

// ready returns the mock, making it once the CA is available.
func (a *Agent) ready(ctx context.Context) (*mocksigner.Mock, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.signer == nil {
		ca, err := mocksigner.LoadCA(ctx, a.vault, nil, nil)
		if err != nil {
			return nil, err
		}
		signer, err := mocksigner.New(mocksigner.Options{
			CA: ca, Faults: a.Faults, Delay: time.Duration(a.Delay), CRLURL: caddymodule.MockCRLAddress, Logger: a.logger,
		})
		if err != nil {
			return nil, err
		}
		a.signer, a.ca = signer, ca
	}
	return a.signer, a.publish(ctx)
}

// publish stores the CA's revocation list where the gateway finds it, before the first card is used and from time to
// time after that. It requires a.mu.
func (a *Agent) publish(ctx context.Context) error {
	now := time.Now()
	if now.Sub(a.listed) < relist {
		return nil
	}
	list, err := a.ca.CRL(now)
	if err != nil {
		return err
	}
	if err := a.vault.Save(ctx, caddymodule.MockCRL, list); err != nil {
		return fmt.Errorf("publishing the mock CA's revocation list: %w", err)
	}
	a.listed = now
	return nil
}

// Sign signs a job with its user's mock card.
func (a *Agent) Sign(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
	signer, err := a.ready(ctx)
	if err != nil {
		return err
	}
	return signer.Sign(ctx, job, out)
}

// Health returns the mock's health.
func (a *Agent) Health(ctx context.Context) (smartcard.Health, error) {
	signer, err := a.ready(ctx)
	if err != nil {
		return smartcard.Health{}, err
	}
	return signer.Health(ctx)
}

// UnmarshalCaddyfile reads, among the options of smartcard_agent:
//
//	smartcard_agent mock {
//		fault <name> [<rate>] [<delay>] [user <pattern>]
//		delay <duration>
//	}
func (a *Agent) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // mock
	return parse.Options{"fault": a.parseFault, "delay": parse.Duration(&a.Delay)}.Block(d, "smartcard_agent mock")
}

func (a *Agent) parseFault(d *caddyfile.Dispenser) error {
	fault, err := mocksigner.ParseFault(d.RemainingArgs()...)
	if err != nil {
		return d.Err(err.Error())
	}
	a.Faults = append(a.Faults, fault)
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Agent)(nil)
	_ caddyfile.Unmarshaler = (*Agent)(nil)
	_ smartcard.Signer      = (*Agent)(nil)
)
