//go:build (linux || darwin) && (amd64 || arm64)

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/smartcard"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pin"
)

func init() {
	caddy.RegisterModule(&Agent{})
}

// Agent signs with real cards, or with keys in an HSM, through the vendor's PKCS#11 module.
type Agent struct {
	// Module is the absolute path of the vendor's library, such as /usr/lib/x86_64-linux-gnu/opensc-pkcs11.so. Mandatory.
	Module string `json:"module"`

	// Tokens are the labels or serial numbers of the cards that may sign. Default: every card.
	Tokens []string `json:"tokens,omitempty"`

	// PIN says where PINs come from. Default: nowhere, so that only cards sign that need no PIN or whose reader has a
	// PIN pad.
	PIN *PIN `json:"pin,omitempty"`

	// PINTimeout is how long a person may take to enter the PIN. Default: 50s, a little less than a gateway's idle
	// timeout.
	PINTimeout caddy.Duration `json:"pin_timeout,omitempty"`

	// CallTimeout bounds each call into the module, such as one signature. Default 15s.
	CallTimeout caddy.Duration `json:"call_timeout,omitempty"`

	// Env names environment variables that the module needs in addition to the usual ones.
	Env []string `json:"env,omitempty"`

	agent *pkcs11.Agent
}

// PIN says where PINs come from. A PIN is asked for once per job and never kept.
type PIN struct {
	// From is terminal, pinentry or file.
	From string `json:"from"`

	// Program is the pinentry program. Default: pinentry.
	Program string `json:"program,omitempty"`

	// File is the file with the PIN. Only its owner may be able to read it.
	File string `json:"file,omitempty"`

	// ServiceKey says that the key belongs to a service and not to a person. Production refuses a PIN file without
	// it.
	ServiceKey bool `json:"service_key,omitempty"`
}

// CaddyModule returns the module's information for Caddy.
func (*Agent) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign.agents.pkcs11", New: func() caddy.Module { return new(Agent) }}
}

// Provision checks the configuration. The module is loaded for the first job.
func (a *Agent) Provision(ctx caddy.Context) error {
	app, err := caddymodule.FromContext(ctx)
	if err != nil {
		return err
	}
	if a.Module == "" {
		return errors.New("smartcard_agent pkcs11: no module: name the library of the card's vendor, or OpenSC's opensc-pkcs11.so")
	}
	if err := a.check(); err != nil {
		return fmt.Errorf("smartcard_agent pkcs11: %w", err)
	}
	source, err := a.PIN.source(app)
	if err != nil {
		return fmt.Errorf("smartcard_agent pkcs11: %w", err)
	}
	program, err := self()
	if err != nil {
		return err
	}
	a.agent, err = pkcs11.New(pkcs11.Options{
		Module: a.Module, Child: program, Env: pkcs11.Environ(a.Env...), Tokens: a.Tokens, PIN: source,
		PINTimeout: time.Duration(a.PINTimeout), CallTimeout: time.Duration(a.CallTimeout), Logger: ctx.Slogger(),
	})
	if err != nil {
		return fmt.Errorf("smartcard_agent: %w", err)
	}
	if file, is := source.(*pin.File); is {
		app.BeforeStart(func() error {
			if err := file.Check(); err != nil {
				return fmt.Errorf("smartcard_agent pkcs11: %w", err)
			}
			return nil
		})
	}
	app.ReportModule(a.Module, a.agent.Trouble)
	return nil
}

// check refuses options that nobody can mean.
func (a *Agent) check() error {
	if err := caddymodule.CheckLimits(
		caddymodule.Limit{Name: "pin_timeout", Value: a.PINTimeout, Most: 10 * time.Minute, Why: "no gateway waits so long for a PIN (idle, by default 1m)"},
		caddymodule.Limit{Name: "call_timeout", Value: a.CallTimeout, Most: 5 * time.Minute, Why: "a person waits for each signature"},
	); err != nil {
		return err
	}
	for i, token := range a.Tokens {
		if strings.TrimSpace(token) == "" || slices.Contains(a.Tokens[:i], token) {
			return fmt.Errorf("token %q is empty, or there twice; name each card once by its label or serial number", token)
		}
	}
	for _, name := range a.Env {
		if name == "" || strings.ContainsAny(name, "= ") {
			return fmt.Errorf("env %q is no name of an environment variable; write the name alone, the value is the gateway's own", name)
		}
	}
	return nil
}

// source returns the source of PINs, or nil for none.
func (p *PIN) source(app *caddymodule.App) (pin.Source, error) {
	if p == nil {
		return nil, nil
	}
	switch {
	case p.From != "file" && (p.File != "" || p.ServiceKey):
		return nil, errors.New("pin: a file and service_key are only for pin file")
	case p.From != "pinentry" && p.Program != "":
		return nil, errors.New("pin: a program is only for pin pinentry")
	}
	switch p.From {
	case "terminal":
		return pin.NewTerminal(""), nil
	case "pinentry":
		return pin.NewPinentry(p.Program, pkcs11.DesktopEnviron()), nil
	case "file":
		if !filepath.IsAbs(p.File) {
			return nil, fmt.Errorf("pin file %q is not an absolute path", p.File)
		}
		if !p.ServiceKey { // service_key says that no person holds the card
			if err := app.Forbid(caddymodule.Risk{Rule: caddymodule.RuleStoredPIN, What: "pin file " + p.File}); err != nil {
				return nil, err
			}
		}
		return pin.NewFile(p.File), nil
	}
	return nil, fmt.Errorf("unknown pin source %q: use terminal, pinentry or file", p.From)
}

// Sign signs a job with its user's card.
func (a *Agent) Sign(ctx context.Context, job smartcard.Job, out *smartcard.Stream) error {
	return a.agent.Sign(ctx, job, out)
}

// Health reports whether a card that can sign is present.
func (a *Agent) Health(ctx context.Context) (smartcard.Health, error) { return a.agent.Health(ctx) }

// Holder returns whose card is in a reader, for pages on the same machine.
func (a *Agent) Holder(ctx context.Context) (string, error) { return a.agent.Holder(ctx) }

// Cleanup releases the module's process, if there is one. Jobs under way complete.
func (a *Agent) Cleanup() error {
	if a.agent != nil {
		a.agent.Close()
	}
	return nil
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*Agent)(nil)
	_ caddy.CleanerUpper    = (*Agent)(nil)
	_ caddyfile.Unmarshaler = (*Agent)(nil)
	_ smartcard.Signer      = (*Agent)(nil)
	_ smartcard.Holder      = (*Agent)(nil)
)
