// Package hostile is an agent that lies. Lies are wrong contents of an answer, whatever wire carries it; what a wire
// itself can do wrong stands beside the test of that wire. Each says what the gateway must make of it: the state
// that the session is left in, and the reason that the person is told. None may release anything.
//
// A test of a wire makes Cards, lets the gateway trust Cards.Issuer, and sends what Lie.Tell makes of an honest
// Answer (see wirea_test.go).
package hostile
