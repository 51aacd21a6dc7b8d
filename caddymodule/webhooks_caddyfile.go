package caddymodule

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
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
			err = duration(d, &w.Timeout)
		case "backoff":
			if err = nextDuration(d, &w.FirstWait); err == nil {
				err = duration(d, &w.LongestWait)
			}
		case "give_up":
			err = duration(d, &w.GiveUp)
		case "keep_dead":
			err = duration(d, &w.KeepDead)
		case "poll":
			err = duration(d, &w.Poll)
		case "concurrency":
			var text string
			if err = one(d, &text); err == nil {
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
