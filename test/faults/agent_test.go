package faults_test

import "testing"

// TestAgent has a smartcard agent that hangs, breaks off, talks nonsense and lies, more often than not, and reloads
// the configuration meanwhile, so that jobs also meet the end of their agent. Whatever it does, a session is signed
// whole, or not at all, and its person is told which.
func TestAgent(t *testing.T) {
	faulty := site{
		lying: true, silent: 40, // times breath
		agent: `delay 2ms
		fault hang 15%
		fault reset 15%
		fault garbage 10%
		fault truncated 10%
		fault missing_item 5%
		fault extra_item 5%
		fault duplicate_item 5%
		fault swapped 10%
		fault wrong_signature 10%
		fault other_user 5%`,
	}
	play(t, 6, func(t *testing.T) *world { return newWorld(t, faulty) }, func(w *world) { w.Reload(w.caddyfile(faulty)) })
}
