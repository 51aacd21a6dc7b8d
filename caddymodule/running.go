package caddymodule

import (
	"slices"
	"sync"

	"github.com/seed-dd2befc3/countersign/audit/keeper"
	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/caddymodule/metrics"
	"github.com/seed-dd2befc3/countersign/certificates"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/signing/webhook"
)

// running holds the started apps, latest last: one, or two during a reload. The admin endpoint finds its app here. It
// cannot use its own Caddy context: Caddy's admin server runs before the apps of its configuration exist, and after a
// failed reload it belongs to the failed configuration.
var running apps

type apps struct {
	mu  sync.Mutex
	all []*App
}

func (l *apps) add(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, a)
}

// remove removes an app, if present.
func (l *apps) remove(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(other *App) bool { return other == a })
}

// latest returns the app that was started last, or nil.
func (l *apps) latest() *App {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return nil
	}
	return l.all[len(l.all)-1]
}

// standing reports the state of the latest app to the metrics.
func (l *apps) standing() metrics.Standing {
	if app := l.latest(); app != nil {
		return standing{app}
	}
	return nil
}

type standing struct{ *App }

func (s standing) KeySets() []jwks.SourceStatus             { return s.keys.Status() }
func (s standing) Webhooks() webhook.Stats                  { return s.webhookStats() }
func (s standing) Pools() []share.Use                       { return s.poolUse() }
func (s standing) Catalogues() []bars.SourceStatus          { return s.catalogues() }
func (s standing) OpenID() map[string]string                { return s.openIDErrors() }
func (s standing) Modules() map[string]string               { return s.moduleErrors() }
func (s standing) Revocations() []*certificates.Revocations { return s.revocations() }
func (s standing) Audit() *keeper.Status {
	open, held := s.auditLog.Held()
	if !held {
		return nil
	}
	status := open.Status()
	return &status
}
func (s standing) Expiries() []metrics.Expiry { return s.expiries.All() }
