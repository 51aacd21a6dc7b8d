package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/audit/keeper"
	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

// Audit configures the audit log. For each batch it records the client, the signer, the payloads, the certificate and the
// outcome. The log is a hash chain with signed heads, in append-only files.
type Audit struct {
	// Dir is the log's directory, one per node. Default: countersign/audit in Caddy's data directory.
	Dir string `json:"dir,omitempty"`
	// Node is the log's name, unique among the gateways. Default: the name the log was created with, which is the host
	// name. Placeholders such as {env.NODE} are resolved.
	Node string `json:"node,omitempty"`
	// Keep is how long entries are kept. Whole files are removed, oldest first, after a signed record of the removal, and
	// only up to a head that was handed outside. Default: forever.
	Keep caddy.Duration `json:"keep,omitempty"`
	// Optional releases signatures and tokens even if their record cannot be written. Default: they are refused.
	Optional bool `json:"optional,omitempty"`
	// Off disables the log.
	Off bool `json:"off,omitempty"`
}

// parse reads the option audit of countersign.
func (a *Audit) parse(d *caddyfile.Dispenser) error {
	return parse.Options{
		"dir": parse.One(&a.Dir), "node": parse.One(&a.Node), "keep": parse.Duration(&a.Keep), "optional": parse.Flag(&a.Optional), "off": parse.Flag(&a.Off),
	}.Block(d, "audit")
}

// Path returns the log's directory, with the default and the placeholders resolved.
func (a *Audit) Path() (string, error) {
	path, err := caddy.NewReplacer().ReplaceOrErr(a.Dir, true, true)
	if err != nil {
		return "", fmt.Errorf("audit dir: %w", err)
	}
	if path == "" {
		path = filepath.Join(caddy.AppDataDir(), "countersign", "audit")
	}
	return filepath.Abs(path)
}

// check refuses contradictory options, and passes risky ones to forbid, which refuses them in production.
func (a *Audit) check(forbid func(Risk) error) error {
	if _, err := a.node(); err != nil {
		return err
	}
	keep := time.Duration(a.Keep)
	switch {
	case a.Off && (a.Dir != "" || a.Node != "" || a.Keep != 0 || a.Optional):
		return errors.New("audit off excludes the other options of audit: remove off, or remove them")
	case a.Off:
		return forbid(Risk{RuleAuditOff, "audit off"})
	case keep != 0 && keep < 24*time.Hour:
		return fmt.Errorf("audit keep %s is under a day: make it longer, or remove it to keep everything", keep)
	case keep != 0 && keep < auditKeepLeast:
		return forbid(Risk{RuleAuditKeep, fmt.Sprintf("audit keep %s, which is under two years,", keep)})
	}
	return nil
}

// auditKeepLeast is the minimum retention in production: two years.
const auditKeepLeast = 2 * 365 * 24 * time.Hour

// node returns the log's configured name with placeholders resolved. If empty, the log keeps its name.
func (a *Audit) node() (string, error) {
	name, err := caddy.NewReplacer().ReplaceOrErr(a.Node, true, true)
	if err == nil && name != "" {
		err = audit.CheckNode(name)
	}
	if err != nil {
		return "", fmt.Errorf("audit node: %w", err)
	}
	return name, nil
}

// AuditSigner signs heads with the gateway's own keys.
type AuditSigner struct{ *jwks.Ring }

// SignAll implements audit.Signer.
func (s AuditSigner) SignAll(ctx context.Context, message []byte) ([]audit.Signature, error) {
	made, err := s.Ring.SignAll(ctx, message)
	if err != nil {
		return nil, err
	}
	signatures := make([]audit.Signature, len(made))
	for i, by := range made {
		signatures[i] = audit.Signature{KID: by.KID, Value: by.Value}
	}
	return signatures, nil
}

// The kinds of records that the gateway appends. The log writes its other entries itself.
const (
	AuditBatch = "signing" // of a batch of signatures
	AuditToken = "token"   // of an access token
)

// openAudit is an open audit log in the pool, with its keeper.
type openAudit struct{ *keeper.Keeper }

// Destruct signs the log's head and closes it.
func (o *openAudit) Destruct() error { return o.Close() }

// openAudit opens the audit log, unless it is off.
func (a *App) openAudit(beside *openStore) error {
	if a.Audit.Off {
		return nil
	}
	open, err := a.acquireAudit()
	if err == nil {
		beside.beforeClose(open.Settle)
	}
	return err
}

func (a *App) acquireAudit() (*openAudit, error) {
	dir, err := a.Audit.Path()
	if err != nil {
		return nil, err
	}
	open, err := a.auditLog.Acquire("audit "+dir, func() (*openAudit, error) {
		if err := needDir("audit dir", dir); err != nil {
			return nil, err
		}
		host, _ := os.Hostname() // without a host name the log gets a name of its own
		open, err := keeper.Open(audit.Options{Dir: dir, Host: host, Now: a.now}, a, a.auditSettings())
		if err != nil {
			return nil, err
		}
		return &openAudit{open}, nil
	})
	if err == nil {
		open.Use(a, a.auditSettings())
	}
	return open, err
}

func (a *App) auditSettings() keeper.Settings {
	shared, is := a.engine.(interface{ Shared() bool })
	node, _ := a.Audit.node() // Provision has checked it
	return keeper.Settings{
		Signer: AuditSigner{a.ring}, Store: lazyStore{a}, Shared: is && shared.Shared(), Node: node,
		Keep: time.Duration(a.Audit.Keep), Logger: a.logger,
	}
}

// dropAudit withdraws this configuration's settings from the log.
func (a *App) dropAudit() {
	if open, held := a.auditLog.Held(); held {
		open.Drop(a)
	}
}

// handOutside records that a client has accepted a webhook, and with it a position of a node's log.
func (a *App) handOutside(d *webhook.Delivery) {
	if at := signing.AuditEntryOf(d); at != nil {
		if open, held := a.auditLog.Held(); held {
			open.HandOutside(audit.Position{Node: at.Node, Number: at.Number, Hash: at.Hash}, "client "+d.Client+", by webhook "+d.ID)
		}
	}
}

// auditor returns the audit log for services, or nil if it is off. Services may use it before the app has started.
func (a *App) auditor() signing.Auditor {
	if a.Audit.Off {
		return nil
	}
	return signingAuditor{a}
}

// tokenAuditor returns the audit log for the token service, or nil if it is off.
func (a *App) tokenAuditor() oauth.Auditor {
	if a.Audit.Off {
		return nil
	}
	return tokenAuditor{a}
}

type (
	signingAuditor struct{ app *App }
	tokenAuditor   struct{ app *App }
)

// Err implements oauth.Auditor.
func (t tokenAuditor) Err() error { return t.app.auditErr() }

// Err implements signing.Auditor.
func (s signingAuditor) Err() error { return s.app.auditErr() }

// auditErr returns the reason why records cannot be written, or nil if they can or none was written yet.
func (a *App) auditErr() error {
	if open, held := a.auditLog.Held(); held {
		if why := open.Health().Error; why != "" {
			return errors.New(why)
		}
	}
	return nil
}

// Record implements oauth.Auditor.
func (t tokenAuditor) Record(ctx context.Context, record oauth.AuditRecord) error {
	_, err := t.app.record(ctx, AuditToken, record)
	return err
}

// Record implements signing.Auditor.
func (s signingAuditor) Record(ctx context.Context, record signing.AuditRecord) (client.AuditEntry, error) {
	at, err := s.app.record(ctx, AuditBatch, record)
	return client.AuditEntry{Node: at.Node, Number: at.Number, Hash: at.Hash}, err
}

func (a *App) record(ctx context.Context, kind string, record any) (audit.Position, error) {
	log, err := a.acquireAudit() //nolint:contextcheck // its writer outlives the call
	if err != nil {
		return audit.Position{}, err
	}
	return log.Append(ctx, kind, record)
}
