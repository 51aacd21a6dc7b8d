package caddymodule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/signing"
)

// Display says whether the page shows the prescriptions behind what is signed, which directives eps have kept.
type Display struct {
	// Mode is "optional": it shows what it can; "required": it signs nothing that it has not shown; or "off". Default:
	// optional, if the configuration has a directive eps, else off.
	Mode string `json:"mode,omitempty"`
	// Otherwise is what becomes of prescriptions that cannot be shown where Mode is required: "refuse" (the default), or
	// "fallback": they are signed by ids and digests, which the page and the audit log say.
	Otherwise string `json:"otherwise,omitempty"`
	// Print lets the page be printed with patients. Without, a print has the numbers and the batch code.
	Print bool `json:"print,omitempty"`
}

const (
	displayRequired = "required"
	displayOff      = "off"
)

// check refuses what cannot be meant.
func (d Display) check(s *SigningService) error {
	if !slices.Contains([]string{"", "optional", displayRequired, displayOff}, d.Mode) {
		return fmt.Errorf("display %q is not known; write required, optional or off", d.Mode)
	}
	if !slices.Contains([]string{"", refuse, "fallback"}, d.Otherwise) {
		return fmt.Errorf("display otherwise %q is not known; write refuse or fallback", d.Otherwise)
	}
	if d.Otherwise != "" && d.Mode != displayRequired {
		return errors.New("display otherwise is for display required; take it out, or write display required")
	}
	if d.Mode == displayRequired && s.Environment == Production && !s.SignIn {
		return errors.New("display required shows patients, so in production the page must know who is at it; add sign_in, and openid <issuer> { client_id … } to countersign")
	}
	return nil
}

// source is where displays are found; nil: nowhere.
func (d Display) source(a *App) signing.Displays {
	if d.Mode == displayOff {
		return nil
	}
	return siteDisplays{a.displays, d.Mode != ""}
}

// siteDisplays are those of a site.
type siteDisplays struct {
	*displays
	asked bool // the site's operator has said that there are some
}

// Any implements signing.Displays. All directives are provisioned before the first request.
func (s siteDisplays) Any() bool { return s.asked || s.used.Load() }

func (d Display) rules() signing.DisplayRules {
	return signing.DisplayRules{Required: d.Mode == displayRequired, Fallback: d.Otherwise == "fallback", Print: d.Print}
}

// parse reads, among the options of signing_service:
//
//	display required|optional|off {
//		otherwise refuse|fallback
//		print
//	}
func (d *Display) parse(from *caddyfile.Dispenser) error {
	if d.Mode != "" {
		return from.Err("display is given twice")
	}
	if !from.NextArg() {
		return from.ArgErr()
	}
	d.Mode = from.Val()
	return parse.Options{"otherwise": parse.One(&d.Otherwise), "print": parse.Flag(&d.Print)}.Block(from, "display")
}
