package faults_test

import (
	"strings"
	"testing"
)

// TestReload changes the configuration under load: a third each the same again, a changed one, and one that is
// refused at another stage each time. The gateway takes requests all the while.
func TestReload(t *testing.T) {
	plain := site{}
	changed := site{service: "sign_within 20m\n\t\t\tclock_skew 2m", client: "name \"Acme Records\"", agent: "delay 5ms"}
	refused := []struct{ stage, caddyfile string }{
		{"syntax", strings.Replace(plain.caddyfile(), "access bearer", "no_such_option", 1)},
		{"meaning", strings.Replace(plain.caddyfile(), "environment int", "environment prod", 1)},
		{"a key that is not there", strings.Replace(plain.caddyfile(), signer.Public, "/nowhere/public.pem", 1)},
		{"another module", plain.caddyfile() + "\nhttps://localhost:1 {\n\ttls /nowhere/cert.pem /nowhere/key.pem\n}\n"},
		{"start", plain.caddyfile() + "\nhttp://localhost:1 {\n\tbind 192.0.2.1\n\trespond never\n}\n"},
	}
	turn := 0
	play(t, 9, func(t *testing.T) *world { return newWorld(t, plain) }, func(w *world) {
		turn++
		good := []site{plain, plain, changed, changed}[turn%4]
		if turn%3 == 0 {
			bad := refused[turn/3%len(refused)]
			if err := w.TryReload(w.filled(bad.caddyfile)); err == nil {
				w.t.Errorf("a configuration was taken that is wrong in its %s", bad.stage)
			}
			return
		}
		w.Reload(w.caddyfile(good))
	})
}
