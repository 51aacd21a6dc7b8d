// Package eps stands at the Electronic Prescription Service's FHIR API, in front of the real one or in its place.
//
//	watch.go      lets $prepare pass as it is, and notes what passed
//	held.go       … within bounds
//	checker.go    computes the digest again, after the answer has gone
//	prepared.go   what $prepare answered, read for that
//	standin.go    a stand-in for EPS: $prepare, $process-message, and a list of what it has accepted
//	answer.go     … its OperationOutcomes
//	openapi       the description of its wire
//
// In front of EPS nothing depends on the package: a request and its answer pass unchanged and are never delayed. If the
// digest that was answered is that of the bundle that was sent, the fragments behind it are handed to a Keeper. If not,
// nothing is kept, and the first difference is remembered for the operator.
//
// The package logs neither bundles nor answers, since both are about patients, and knows neither Caddy nor a store.
package eps
