// Package parse reads the options of a block in a Caddyfile, in one way for all directives: each function takes what
// stands behind the option's name, and refuses whatever else stands there, with the file and the line.
package parse

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// One reads exactly one argument.
func One(d *caddyfile.Dispenser, into *string) error {
	if *into != "" {
		return d.Errf("%s is given twice", d.Val())
	}
	if !d.AllArgs(into) {
		return d.ArgErr()
	}
	return nil
}

// List reads one or more arguments.
func List(d *caddyfile.Dispenser, into *[]string) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.ArgErr()
	}
	*into = append(*into, args...)
	return nil
}

// Flag reads an option that stands for itself.
func Flag(d *caddyfile.Dispenser, into *bool) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	*into = true
	return nil
}

// NoMore refuses arguments and blocks that nobody has asked for.
func NoMore(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(d.Nesting()) {
		return d.Errf("unrecognized subdirective %q", d.Val())
	}
	return nil
}

// Count reads exactly one positive number.
func Count(d *caddyfile.Dispenser, into *int) error {
	var text string
	if err := One(d, &text); err != nil {
		return err
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return d.Errf("%q is not a positive number", text)
	}
	*into = n
	return nil
}

// Rate reads exactly one number of tokens a minute, such as 300/m.
func Rate(d *caddyfile.Dispenser, into *int) error {
	var text string
	if err := One(d, &text); err != nil {
		return err
	}
	number, perMinute := strings.CutSuffix(text, "/m")
	n, err := strconv.Atoi(number)
	if !perMinute || err != nil || n <= 0 {
		return d.Errf("%q is not a rate; write the number a minute, such as 300/m", text)
	}
	*into = n
	return nil
}

// Size reads exactly one number of bytes, such as 10MiB.
func Size(d *caddyfile.Dispenser, into *int64) error {
	var text string
	if err := One(d, &text); err != nil {
		return err
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n == 0 || n > 1<<40 {
		return d.Errf("%q is not a size such as 10MiB", text)
	}
	*into = int64(n)
	return nil
}

// Duration reads exactly one duration, such as 30m or 7d.
func Duration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	var text string
	if err := One(d, &text); err != nil {
		return err
	}
	return readDuration(d, text, into)
}

// NextDuration reads the next of several arguments as a duration.
func NextDuration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	return readDuration(d, d.Val(), into)
}

func readDuration(d *caddyfile.Dispenser, text string, into *caddy.Duration) error {
	parsed, err := caddy.ParseDuration(text)
	if err != nil || parsed <= 0 {
		return d.Errf("%q is not a duration such as 30s, 15m or 7d", text)
	}
	*into = caddy.Duration(parsed)
	return nil
}
