// Package parse reads the options of a Caddyfile block, in one way for all directives. A directive lists its options,
// each with the function that reads it:
//
//	parse.Options{
//		"public_url": parse.One(&s.PublicURL),
//		"timeout":    parse.Duration(&s.Timeout),
//		"agent":      s.parseAgent,
//	}
//
// That function reads the option's arguments and refuses any others, with the file and the line.
package parse

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/dustin/go-humanize"
)

// Option reads the arguments after an option's name.
type Option func(d *caddyfile.Dispenser) error

// Options maps the names of a block's options to their readers.
type Options map[string]Option

// Directive reads a directive that takes only a block. The dispenser stands before its name.
func (o Options) Directive(d *caddyfile.Dispenser) error {
	d.Next()
	return o.Block(d, d.Val())
}

// Block reads an optional block and refuses anything else. An unknown option is reported as an option of of.
func (o Options) Block(d *caddyfile.Dispenser, of string) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := o.Read(d, of); err != nil {
			return err
		}
	}
	return nil
}

// Read reads the option whose name the dispenser has just read.
func (o Options) Read(d *caddyfile.Dispenser, of string) error {
	read := o[d.Val()]
	if read == nil {
		return d.Errf("unrecognized option %q of %s, which has: %s", d.Val(), of, strings.Join(slices.Sorted(maps.Keys(o)), ", "))
	}
	return read(d)
}

// One reads exactly one argument, once.
func One[T ~string](into *T) Option {
	return func(d *caddyfile.Dispenser) error {
		if *into != "" {
			return d.Errf("%s is given twice", d.Val())
		}
		if !d.NextArg() {
			return d.ArgErr()
		}
		*into = T(d.Val())
		if d.NextArg() {
			return d.ArgErr()
		}
		return nil
	}
}

// named reads exactly one argument and returns it with the option's name.
func named(d *caddyfile.Dispenser) (name, text string, err error) {
	name = d.Val()
	err = One(&text)(d)
	return name, text, err
}

// List reads one or more arguments.
func List(into *[]string) Option {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		*into = append(*into, args...)
		return nil
	}
}

// Flag reads an option without arguments.
func Flag(into *bool) Option {
	return func(d *caddyfile.Dispenser) error {
		*into = true
		return NoMore(d)
	}
}

// NoMore refuses further arguments and blocks.
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
func Count(into *int) Option {
	return func(d *caddyfile.Dispenser) error {
		name, text, err := named(d)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 {
			return d.Errf("%s %q is not a positive number", name, text)
		}
		*into = n
		return nil
	}
}

// PerMinute reads exactly one rate per minute, such as 300/m.
func PerMinute(into *int) Option { return per("/m", "minute, such as 300/m", into) }

// PerSecond reads exactly one rate per second, such as 60/s.
func PerSecond(into *int) Option { return per("/s", "second, such as 60/s", into) }

func per(unit, words string, into *int) Option {
	return func(d *caddyfile.Dispenser) error {
		name, text, err := named(d)
		if err != nil {
			return err
		}
		number, ofUnit := strings.CutSuffix(text, unit)
		n, err := strconv.Atoi(number)
		if !ofUnit || err != nil || n <= 0 {
			return d.Errf("%s %q is not a rate: write a number per %s", name, text, words)
		}
		*into = n
		return nil
	}
}

// Size reads exactly one number of bytes of at most 1 TiB, such as 10MiB.
func Size(into *int64) Option {
	return func(d *caddyfile.Dispenser) error {
		name, text, err := named(d)
		if err != nil {
			return err
		}
		n, err := humanize.ParseBytes(text)
		if err != nil || n == 0 || n > 1<<40 {
			return d.Errf("%s %q is not a size such as 10MiB", name, text)
		}
		*into = int64(n)
		return nil
	}
}

// Duration reads exactly one duration, such as 30m or 7d.
func Duration(into *caddy.Duration) Option {
	return func(d *caddyfile.Dispenser) error {
		if err := NextDuration(d, into); err != nil {
			return err
		}
		if d.NextArg() {
			return d.ArgErr()
		}
		return nil
	}
}

// NextDuration reads the next of several arguments as a duration.
func NextDuration(d *caddyfile.Dispenser, into *caddy.Duration) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	parsed, err := caddy.ParseDuration(d.Val())
	if err != nil || parsed <= 0 {
		return d.Errf("%q is not a duration such as 30s, 15m or 7d", d.Val())
	}
	*into = caddy.Duration(parsed)
	return nil
}
