package caddymodule

import (
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
	return parse.Options{
		"timeout": parse.Duration(&w.Timeout),
		"backoff": func(d *caddyfile.Dispenser) error {
			if err := parse.NextDuration(d, &w.FirstWait); err != nil {
				return err
			}
			return parse.Duration(&w.LongestWait)(d)
		},
		"give_up":     parse.Duration(&w.GiveUp),
		"keep_dead":   parse.Duration(&w.KeepDead),
		"poll":        parse.Duration(&w.Poll),
		"concurrency": parse.Count(&w.Concurrency),
	}.Block(d, "webhooks")
}
