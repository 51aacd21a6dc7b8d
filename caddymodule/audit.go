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

// Audit says where the record of each batch is kept: who asked, who signed, what, with which certificate, and with
// what outcome. It is a chain of hashes with signed heads, in files that are only ever added to.
type Audit struct {
	// Dir is the log's directory, one for each node. Default: countersign/audit under Caddy's data directory.
	Dir string `json:"dir,omitempty"`
	// Node is the log's name, which no other gateway's log has. Default: the name that the log was begun with, which is the
	// machine's. Placeholders such as {env.NODE} are resolved.
	Node string `json:"node,omitempty"`
	// Keep is how long entries are kept. Whole files are removed, the oldest first, behind a signed record of them, and only
	// up to a head that was handed outside. Default: for ever.
	Keep caddy.Duration `json:"keep,omitempty"`
	// Optional releases signatures and tokens also when their record cannot be written. Default: they are refused.
	Optional bool `json:"optional,omitempty"`
	// Off keeps no record.
	Off bool `json:"off,omitempty"`
}

// parse reads the option audit of countersign.
func (a *Audit) parse(d *caddyfile.Dispenser) error {
	return parse.Options{
		"dir": parse.One(&a.Dir), "node": parse.One(&a.Node), "keep": parse.Duration(&a.Keep), "optional": parse.Flag(&a.Optional), "off": parse.Flag(&a.Off),
	}.Block(d, "audit")
}

// Path is the log's directory, with the default in the place of none and without placeholders.
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

// check refuses what cannot be meant, and has what production refuses forbidden there.
func (a *Audit) check(forbid func(Risk) error) error {
	if _, err := a.node(); err != nil {
		return err
	}
	keep := time.Duration(a.Keep)
	switch {
	case a.Off && (a.Dir != "" || a.Node != "" || a.Keep != 0 || a.Optional):
		return errors.New("audit off keeps no record, so the other options of audit have no effect; take off out, or them")
	case a.Off:
		return forbid(Risk{RuleAuditOff, "audit off"})
	case keep != 0 && keep < 24*time.Hour:
		return fmt.Errorf("audit keep %s is under a day; make it longer, or leave it out to keep everything", keep)
	case keep != 0 && keep < auditKeepLeast:
		return forbid(Risk{RuleAuditKeep, fmt.Sprintf("audit keep %s, which is under two years,", keep)})
	}
	return nil
}

// auditKeepLeast is what production keeps at the least: two years.
const auditKeepLeast = 2 * 365 * 24 * time.Hour

// node is the log's configured name without placeholders; empty: the log keeps the one that it has.
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

// The kinds of the log's records; its other entries are its own.
const (
	AuditBatch = "signing" // of a batch of signatures
	AuditToken = "token"   // of an access token
)

// openAudit is an audit log in the pool, and who looks after it.
type openAudit struct{ *keeper.Keeper }

// Destruct signs the log's head and closes it.
func (o *openAudit) Destruct() error { return o.Close() }

// openAudit opens the audit log, unless there is to be none.
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
		host, _ := os.Hostname() // without one the log has a name all the same
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

// dropAudit takes this configuration's settings away from the log, if it has given it any.
func (a *App) dropAudit() {
	if open, held := a.auditLog.Held(); held {
		open.Drop(a)
	}
}

// handOutside notes that a client has taken a webhook, and with it a position of a node's log.
func (a *App) handOutside(d *webhook.Delivery) {
	if at := signing.AuditEntryOf(d); at != nil {
		if open, held := a.auditLog.Held(); held {
			open.HandOutside(audit.Position{Node: at.Node, Number: at.Number, Hash: at.Hash}, "client "+d.Client+", by webhook "+d.ID)
		}
	}
}

// auditor is the audit log for services, which may be asked before the app has started; nil where there is none.
func (a *App) auditor() signing.Auditor {
	if a.Audit.Off {
		return nil
	}
	return signingAuditor{a}
}

// tokenAuditor is the same for the token service.
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

// auditErr is why no record can be kept; nil before anything was recorded.
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
