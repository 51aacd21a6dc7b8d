// Package bars decides what the proxy of the Booking and Referral Standard does with a request, without any transport
// (BAR-1): which receiver it goes to, whether it may be sent, and what the sender is told when it fails. Brokers,
// receivers and senders of bookings and referrals use it.
//
//	outcome.go     a failure as a FHIR OperationOutcome, and whose fault it is
//	target.go      the target identifier, which names the receiver
//	catalogue.go   the endpoint catalogue: the URL of each target
//	source.go      … read again and again from a file or a URL
//	proxy.go       the checks of a request, in the order of BAR-1.4
//	answer.go      what a receiver's answer, or silence, becomes
//	quota.go       how many requests an application may send
//	sandbox.go     the receiver built into the sandbox
//	names.go       naming rules for systems and keys
//	trust.go       which connections may reach a receiver
//	revoked.go     … which certificates are revoked
//	egress.go      … which addresses the proxy calls from
//	certificate.go checks of a system's own certificate
//	csr.go         the request for that certificate
//	onboarding.go  the steps of connecting a system, and their letters
//
// The package knows nothing of Caddy, opens no connection to a receiver and never interprets a message: the receiver
// gets the sender's bytes unchanged.
package bars
