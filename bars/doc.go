// Package bars is the Booking and Referral Standard's proxy without its transport (BAR-1): who receives a
// request, whether it may be sent, and what its sender is told where it fails. It is for whoever brokers, receives
// or sends bookings and referrals.
//
//	outcome.go   a failure as FHIR tells it, and whose fault it is
//	target.go    the target identifier, which says who receives
//	catalogue.go where each target is to be found
//	source.go    … as a file or an address that is looked at again and again
//	proxy.go     the checks of a request, in the order of BAR-1.4
//	answer.go    what a receiver's answer, or its silence, becomes
//	quota.go     how many requests an application may send
//	sandbox.go   the receiver that is built in
//	names.go     what systems and keys are called
//	trust.go     who may call a receiver, by its connection
//	revoked.go   … and whose certificate was revoked
//	egress.go    … and from which addresses
//	certificate.go what a system's own certificate has to say
//	csr.go       the request for it
//	onboarding.go the steps until a system is connected, and the letters
//
// It knows no Caddy, opens no connection to a receiver and never looks into a message: what a sender sends reaches
// the receiver byte for byte.
package bars
