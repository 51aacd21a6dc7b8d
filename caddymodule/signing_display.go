package caddymodule

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
	"github.com/seed-dd2befc3/countersign/signing"
)

// Display configures whether the page shows the prescriptions to be signed. The eps directives keep their displays.
type Display struct {
	// Mode is "optional": the page shows what it can; "required": it signs only what it has shown; or "off". Default:
	// optional if the configuration has an eps directive, else off.
	Mode string `json:"mode,omitempty"`
	// Otherwise says what to do with prescriptions that cannot be shown when Mode is required: "refuse" (the default), or
	// "fallback": sign them by ids and digests, as the page and the audit log then say.
	Otherwise string `json:"otherwise,omitempty"`
	// Print lets the page be printed with patient details. Otherwise a print has only the numbers and the batch code.
	Print bool `json:"print,omitempty"`
}

const (
	displayRequired = "required"
	displayOff      = "off"
)

// check refuses invalid options.
func (d Display) check(s *SigningService) error {
	if !slices.Contains([]string{"", "optional", displayRequired, displayOff}, d.Mode) {
		return fmt.Errorf("unknown display %q: use required, optional or off", d.Mode)
	}
	if !slices.Contains([]string{"", refuse, "fallback"}, d.Otherwise) {
		return fmt.Errorf("unknown display otherwise %q: use refuse or fallback", d.Otherwise)
	}
	if d.Otherwise != "" && d.Mode != displayRequired {
		return errors.New("display otherwise has no effect without display required: remove it, or set display required")
	}
	if d.Mode == displayRequired && s.Environment == Production && !s.SignIn {
		return errors.New("display required shows patient details, so in production people must sign in: add sign_in, and openid <issuer> { client_id … } to countersign")
	}
	return nil
}

// source returns the source of displays, or nil if there is none.
func (d Display) source(a *App) signing.Displays {
	if d.Mode == displayOff {
		return nil
	}
	return siteDisplays{a.displays, d.Mode != ""}
}

// siteDisplays are the displays of a site.
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
		return from.Err("display is configured twice: remove one")
	}
	if !from.NextArg() {
		return from.ArgErr()
	}
	d.Mode = from.Val()
	return parse.Options{"otherwise": parse.One(&d.Otherwise), "print": parse.Flag(&d.Print)}.Block(from, "display")
}
