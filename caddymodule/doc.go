// Package caddymodule is where Countersign meets Caddy, and the only package (with those below it) that
// imports Caddy.
package caddymodule
