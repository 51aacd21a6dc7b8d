package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi/openapi"
	"github.com/seed-dd2befc3/countersign/description"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/oauth/openid"
	"github.com/seed-dd2befc3/countersign/signing"
)

func init() {
	caddy.RegisterModule(Admin{})
}

// readyTimeout bounds the readiness check of the store.
const readyTimeout = 2 * time.Second

// Admin adds the gateway's operator endpoints to Caddy's admin endpoint. Except for a backup, which holds the content of
// the store, no answer holds secrets or personal data. Only POST changes anything:
//
//	GET /countersign/live                    200 while the process answers
//	GET /countersign/ready                   200 once the gateway takes requests, else 503
//	GET /countersign/status                  environment, store, clients and their key sets, own keys, agents, endpoint catalogues
//	GET /countersign/sessions                ?client=&state=&after=&limit=
//	GET /countersign/sessions/{id}           one session
//	GET /countersign/deliveries              webhooks; ?client=&state=&after=&limit=
//	GET /countersign/deliveries/{id}         one webhook
//	POST /countersign/deliveries/{id}/replay delivers it again
//	POST /countersign/deliveries/replay      delivers every dead letter again; ?client=
//	POST /countersign/webhooks/send          sends a made-up event to a receiver; ?url=&type=&client=&forged=
//	GET /countersign/refusals                the latest refused requests, newest first; ?limit=
//	GET /countersign/refusals/{request id}   the refusals with this request id or correlation id
//	POST /countersign/keysets/{client}/refresh reads a client's key sets now
//	GET /countersign/audit                   the audit log's head, and the positions of all nodes kept in the store
//	POST /countersign/audit/{node}/retire    records that a node's log will not come back
//	POST /countersign/audit/handed           records that a head is kept outside; ?head=&to=
//	POST /countersign/audit/hold             keeps the files of the audit log from being removed; ?reason=
//	POST /countersign/audit/release          ends the hold
//	POST /countersign/backup                 a backup of the store (see package backup), as a stream
//	GET /countersign/openapi.json            the OpenAPI description of these endpoints (see package adminapi/openapi)
type Admin struct{}

// CaddyModule returns the module's name for Caddy.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.countersign", New: func() caddy.Module { return new(Admin) }}
}

// Routes returns the endpoints.
func (Admin) Routes() []caddy.AdminRoute {
	ofApp := func(answer func(a *App, r *http.Request) (status int, body any)) caddy.AdminHandler {
		return caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			status, body := http.StatusServiceUnavailable, any(adminapi.Failure{Error: "countersign is not configured or has not started yet"})
			if a := running.latest(); a != nil {
				status, body = answer(a, r)
			}
			return adminAnswer(w, status, body)
		})
	}
	routes := []caddy.AdminRoute{
		{Pattern: "GET /countersign/live", Handler: caddy.AdminHandlerFunc(live)},
		{Pattern: "GET /countersign/ready", Handler: ofApp((*App).adminReady)},
		{Pattern: "GET /countersign/status", Handler: ofApp((*App).adminStatus)},
		{Pattern: "GET /countersign/sessions", Handler: ofApp((*App).adminSessions)},
		{Pattern: "GET /countersign/sessions/{id}", Handler: ofApp((*App).adminSession)},
		{Pattern: "GET /countersign/deliveries", Handler: ofApp((*App).adminDeliveries)},
		{Pattern: "GET /countersign/deliveries/{id}", Handler: ofApp((*App).adminDelivery)},
		{Pattern: "POST /countersign/deliveries/{id}/replay", Handler: ofApp((*App).adminReplay)},
		{Pattern: "POST /countersign/deliveries/replay", Handler: ofApp((*App).adminReplayDead)},
		{Pattern: "POST /countersign/webhooks/send", Handler: ofApp((*App).adminTrial)},
		{Pattern: "GET /countersign/refusals", Handler: ofApp((*App).adminRefusals)},
		{Pattern: "GET /countersign/refusals/{id}", Handler: ofApp((*App).adminRefusal)},
		{Pattern: "POST /countersign/keysets/{client}/refresh", Handler: ofApp((*App).adminRefreshKeys)},
		{Pattern: "GET /countersign/audit", Handler: ofApp((*App).adminAudit)},
		{Pattern: "POST /countersign/audit/{node}/retire", Handler: ofApp(adminAudits(auditRetire))},
		{Pattern: "POST /countersign/audit/handed", Handler: ofApp(adminAudits(auditHanded))},
		{Pattern: "POST /countersign/audit/hold", Handler: ofApp(adminAudits(auditHold))},
		{Pattern: "POST /countersign/audit/release", Handler: ofApp(adminAudits(auditRelease))},
		{Pattern: "POST /countersign/backup", Handler: caddy.AdminHandlerFunc(adminBackup)},
		{Pattern: "GET /countersign" + description.Path, Handler: caddy.AdminHandlerFunc(adminDescription)},
	}
	for i, route := range routes {
		routes[i].Handler = caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			return intake.Guard(w, r, route.Handler.ServeHTTP)
		})
	}
	return routes
}

func adminErrorf(format string, args ...any) adminapi.Failure {
	return adminapi.Failure{Error: fmt.Sprintf(format, args...)}
}

// adminAnswer writes an answer. It writes errors too, because Caddy would log a returned error as its own.
func adminAnswer(w http.ResponseWriter, status int, body any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(body)
}

func adminDescription(w http.ResponseWriter, r *http.Request) error {
	openapi.Serve(w, r)
	return nil
}

func live(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Link", description.Link)
	return adminAnswer(w, http.StatusOK, map[string]bool{"live": true})
}

// adminReady reports whether the gateway takes requests: the app has started, the store answers, a mandatory audit log can
// be written, and the PKCS#11 modules of its own smartcard agents work.
func (a *App) adminReady(r *http.Request) (int, any) {
	if found := a.storeStatus(r.Context()); found.Error != "" {
		return http.StatusServiceUnavailable, adminapi.Failure{Error: found.Error}
	}
	if err := a.auditErr(); err != nil && !a.Audit.Optional {
		return http.StatusServiceUnavailable, adminErrorf("the audit log cannot be written: %v", err)
	}
	for _, module := range a.moduleStatuses() {
		if module.Error != "" {
			return http.StatusServiceUnavailable, adminErrorf("PKCS#11 module %s cannot be used: %s", module.Path, module.Error)
		}
	}
	lists := a.revocationStatus() // reported, but they do not affect readiness
	return http.StatusOK, map[string]any{"ready": true, "revocationLists": map[string]int{
		"current": lists.Current, "expired": lists.Expired, "missing": lists.Missing, "failing": lists.Failing}}
}

// gatewayStatus is the answer of /countersign/status.
type gatewayStatus struct {
	Problems    []adminapi.Problem   `json:"problems"` // what needs an operator's attention
	Environment Environment          `json:"environment"`
	Version     signing.Version      `json:"version"`
	Store       storeStatus          `json:"store"`
	Clients     []clientStatus       `json:"clients"`
	Keys        []jwks.RingKeyStatus `json:"keys"` // the gateway's own
	KeysError   string               `json:"keysError,omitempty"`
	OpenID      []openid.Status      `json:"openid"` // the OpenID providers
	Services    []serviceStatus      `json:"services"`
	Proxies     []ProxyStatus        `json:"barsProxies"`
	Revocations revocationStatus     `json:"revocations"`
	Audit       *adminapi.Audit      `json:"audit,omitempty"`
	Modules     []moduleStatus       `json:"pkcs11Modules"` // of its own smartcard agents

	pools []share.Use // reported as metrics and as problems
}

type storeStatus struct {
	Identity string `json:"identity"`
	Needed   bool   `json:"needed"` // a site keeps sessions
	Open     bool   `json:"open"`
	Error    string `json:"error,omitempty"`

	WriteError string `json:"writeError,omitempty"` // the error of the last write; empty if it succeeded
}

type clientStatus struct {
	ID      string         `json:"id"`
	Name    string         `json:"name,omitempty"`
	Status  string         `json:"status"`
	KeySets []keySetStatus `json:"keySets"`
}

type keySetStatus struct {
	jwks.SourceStatus
	AgeSeconds int64 `json:"ageSeconds"` // since the last read; zero if never read
}

type serviceStatus struct {
	PublicURL   string      `json:"publicUrl,omitempty"`
	Environment Environment `json:"environment"`
	signing.Health
}

// adminStatus reports the state of the whole gateway. The services are asked concurrently, each with its own timeout.
func (a *App) adminStatus(r *http.Request) (int, any) {
	ctx := r.Context()
	status := gatewayStatus{
		Environment: a.Environment, Version: Version(), Store: a.storeStatus(ctx), Clients: a.clientStatus(),
		Services: make([]serviceStatus, len(a.services)), Proxies: a.proxyStatus(), Revocations: a.revocationStatus(),
		Audit: a.auditStatus(), Modules: a.moduleStatuses(), pools: a.poolUse(),
	}
	var asking sync.WaitGroup
	for i, site := range a.services {
		status.Services[i] = serviceStatus{PublicURL: site.PublicURL, Environment: site.Environment}
		asking.Go(func() { status.Services[i].Health = site.service.Health(ctx) })
	}
	status.OpenID = a.openIDStatus()
	var err error
	if status.Keys, err = a.ring.Status(ctx); err != nil {
		status.KeysError = err.Error()
	}
	asking.Wait()
	found := problemList(problems(status, a.webhookStats(), a.expiries.All(), a.now()))
	found.differing(a.displays.differences())
	status.Problems = found
	return http.StatusOK, status
}

// storeStatus reports whether the store is open and answers. A store that no site needs may stay closed.
func (a *App) storeStatus(ctx context.Context) storeStatus {
	found := storeStatus{Identity: a.engine.Identity(), Needed: a.needed}
	open, held := a.store.Held()
	if found.Open = held; !held {
		if a.needed {
			found.Error = "the store is not open"
		}
		return found
	}
	if timed, is := open.Store.(timedStore); is {
		found.WriteError = timed.writeError()
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if _, err := open.Get(ctx, "ready"); err != nil {
		found.Error = "the store does not answer: " + err.Error()
	}
	return found
}

func (a *App) clientStatus() []clientStatus {
	now := a.now()
	sets := map[string][]keySetStatus{}
	for _, source := range a.keys.Status() {
		sets[source.Client] = append(sets[source.Client], keySetStatus{source, int64(source.Age(now) / time.Second)})
	}
	all := make([]clientStatus, 0, len(a.Clients))
	for _, id := range slices.Sorted(maps.Keys(a.Clients)) {
		client := clientStatus{ID: id, Name: a.Clients[id].Name, Status: a.Clients[id].Status, KeySets: sets[id]}
		if client.Status == "" {
			client.Status = statusApproved
		}
		if client.KeySets == nil {
			client.KeySets = []keySetStatus{}
		}
		all = append(all, client)
	}
	return all
}

// Interface guards.
var _ caddy.AdminRouter = (*Admin)(nil)
