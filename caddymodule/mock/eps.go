package mock

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule"
	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/eps"
)

func init() {
	caddy.RegisterModule(StandIn{})
}

// StandIn answers in the place of EPS, behind the directive eps: it prepares prescriptions, and accepts those with a
// signature that holds. It sends them nowhere, and forgets them with the process. Refused in production, since EPS demands
// its own $prepare.
type StandIn struct {
	// Certificates says whose cards count.
	Certificates caddymodule.Certificates `json:"certificates,omitzero"`

	standIn *eps.StandIn
}

// accepted is what stand-ins have accepted. It outlives reloads.
var accepted eps.Memory

// CaddyModule returns the module's name for Caddy.
func (StandIn) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "countersign.eps.stand_in", New: func() caddy.Module { return new(StandIn) }}
}

// Provision makes the stand-in.
func (s *StandIn) Provision(ctx caddy.Context) error {
	app, err := caddymodule.FromContext(ctx)
	if err != nil {
		return err
	}
	if err := outsideProduction(app, "stand_in"); err != nil {
		return err
	}
	if !s.Certificates.TrustMock && len(s.Certificates.Issuers) == 0 {
		return errors.New("stand_in: trusts no issuer, so it would accept no prescription; add certificates { trust mock } or { trust_pool file <pem file> }")
	}
	judge, err := app.Judge(&s.Certificates)
	if err != nil {
		return fmt.Errorf("stand_in: %w", err)
	}
	s.standIn, err = eps.NewStandIn(eps.StandInOptions{
		Algorithm: app.PrescriptionAlgorithm, Judge: judge, Acceptances: &accepted, Now: app.Now, Logger: ctx.Slogger(),
	})
	return err
}

// Serve answers a request.
func (s *StandIn) Serve(w http.ResponseWriter, r *http.Request, caller eps.Caller) {
	s.standIn.Serve(w, r, caller)
}

// UnmarshalCaddyfile reads, among the options of eps:
//
//	stand_in {
//		certificates {
//			<as of signing_service>
//		}
//	}
func (s *StandIn) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return parse.Options{"certificates": s.Certificates.Parse}.Directive(d)
}

// Interface guards.
var (
	_ caddy.Provisioner     = (*StandIn)(nil)
	_ caddyfile.Unmarshaler = (*StandIn)(nil)
)
