// Package eps is the directive eps: it stands before the Electronic Prescription Service's FHIR API, and keeps what a
// person is shown of a prescription before they sign it. Requests and answers pass as they are.
//
//	eps.go        a request's way, and the configuration
//	caddyfile.go  the syntax
//
// Of the countersign app it uses what is exported there: the clients, and the check of what passed.
package eps

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/eps"
	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/prescription"
)

func init() {
	caddy.RegisterModule(EPS{})
}

// EPS stands before the Electronic Prescription Service. When a $prepare has been answered, it computes the digest from
// the prescription that was sent, and if that is the one that was answered, keeps what the signing page shows of it. It
// always calls the next handler, unless it has a StandIn.
type EPS struct {
	// Client is whose prescriptions they are: a client id of the countersign app, or a placeholder that gives one. Default:
	// {countersign.client}, the client of the access token that apim_bearer has let in.
	Client string `json:"client,omitempty"`

	// StandIn answers in the place of EPS: a module of the namespace countersign.eps. Outside production only.
	StandInRaw json.RawMessage `json:"stand_in,omitempty" caddy:"namespace=countersign.eps inline_key=kind"`

	app     *caddymodule.App
	checker func() *eps.Checker
	standIn StandIn
}

// StandIn is what a module of the namespace countersign.eps does.
type StandIn interface {
	Serve(w http.ResponseWriter, r *http.Request, caller eps.Caller)
}

// CaddyModule returns the module's name for Caddy.
func (EPS) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.eps", New: func() caddy.Module { return new(EPS) }}
}

// Provision finds the app, and loads the stand-in if there is to be one.
func (e *EPS) Provision(ctx caddy.Context) error {
	var err error
	if e.app, err = caddymodule.FromContext(ctx); err != nil {
		return fmt.Errorf("eps: %w", err)
	}
	if !strings.Contains(e.Client, "{") && e.Client != "" && !e.app.HasClient(e.Client) {
		return fmt.Errorf("eps: client %s is not configured, or revoked; add client %s { … } to countersign", e.Client, e.Client)
	}
	if e.app.Environment != caddymodule.Sandbox { // whose page signs nothing that could be shown
		e.checker = e.app.Checker()
	}
	if e.StandInRaw == nil {
		return nil
	}
	loaded, err := ctx.LoadModule(e, "StandInRaw")
	if err != nil {
		return fmt.Errorf("eps: %w", err)
	}
	standIn, is := loaded.(StandIn)
	if !is {
		return fmt.Errorf("eps: %T does not stand in for EPS", loaded)
	}
	e.standIn = standIn
	return nil
}

// ServeHTTP has the next handler, or the stand-in, answer.
func (e *EPS) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	id := e.client(r)
	if e.standIn != nil {
		return intake.Guard(w, r, func(w http.ResponseWriter, r *http.Request) error {
			return e.watch(id, w, r, func(w http.ResponseWriter, r *http.Request) error {
				e.standIn.Serve(w, r, eps.Caller{Client: id, Access: e.access(r)})
				return nil
			})
		})
	}
	return e.watch(id, w, r, next.ServeHTTP)
}

// watch has pass answer the request. A client that is not configured has no session, so nothing is kept for it.
func (e *EPS) watch(id string, w http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter, *http.Request) error) error {
	if e.checker == nil || !e.app.HasClient(id) {
		return pass(w, r)
	}
	checker := e.checker()
	if checker == nil {
		return pass(w, r)
	}
	return checker.Watch(id, w, r, pass)
}

// client is whose prescription it is, or "".
func (e *EPS) client(r *http.Request) string {
	if e.Client == "" {
		id, _ := caddyhttp.GetVar(r.Context(), "countersign.client").(string)
		return id
	}
	replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !ok {
		return ""
	}
	return replacer.ReplaceAll(e.Client, "")
}

// access is what the access token allows that apim_bearer has let in. Where no apim_bearer stands, the operator has let
// everybody in.
func (e *EPS) access(r *http.Request) prescription.Access {
	scopes, checked := caddyhttp.GetVar(r.Context(), "countersign.scopes").(string)
	if !checked {
		return prescription.MayPrescribe
	}
	return prescription.AccessOf(scopes)
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*EPS)(nil)
	_ caddyhttp.MiddlewareHandler = (*EPS)(nil)
)
