package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dd2befc3/countersign/caddymodule/parse"
)

// parse reads the option webhooks of countersign:
//
//	webhooks {
//		timeout     <duration>
//		backoff     <first> <longest>
//		give_up     <duration>
//		keep_dead   <duration>
//		poll        <duration>
//		concurrency <number>
//	}
func (w *Webhooks) parse(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch option := d.Val(); option {
		case "timeout":
			err = parse.Duration(d, &w.Timeout)
		case "backoff":
			if err = parse.NextDuration(d, &w.FirstWait); err == nil {
				err = parse.Duration(d, &w.LongestWait)
			}
		case "give_up":
			err = parse.Duration(d, &w.GiveUp)
		case "keep_dead":
			err = parse.Duration(d, &w.KeepDead)
		case "poll":
			err = parse.Duration(d, &w.Poll)
		case "concurrency":
			var text string
			if err = parse.One(d, &text); err == nil {
				if w.Concurrency, err = strconv.Atoi(text); err != nil || w.Concurrency < 1 {
					err = d.Errf("concurrency %q is not a positive number", text)
				}
			}
		default:
			err = d.Errf("unrecognized option %q of webhooks", option)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
