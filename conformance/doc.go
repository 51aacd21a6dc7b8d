// Package conformance holds the rules of docs/contract as cases: a request, the answer that the contract demands, and the
// rule's number. The same cases run as tests against this gateway and, from the command line, against any other one or
// the real integration environment.
//
//	Cases ─▶ Runner ─▶ answer ─▶ compared with Want ─▶ Result: same, differs, skipped, failed
//	                        └──▶ Recording (shapes and texts, no secrets) ─▶ Compare: drift between two services
//
// It never calls a production host, never needs a person or a card, and sends a few requests a second. A recording holds
// no token, assertion, key or person.
package conformance
