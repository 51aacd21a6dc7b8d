// Package signing is the Signing Service: a client system posts a signed request for up to 250 signatures,
// the person it names opens a page and signs through a smartcard agent, every signature is verified, the
// browser goes back to the client system, and the client fetches the signatures.
//
// The way of a request, file by file:
//
//	request.go   POST /signaturerequest: who sent it, is it whole, is it new
//	session.go   what is kept of it, and the state it is in
//	page.go      the page: claimed by one browser, started, watched, cancelled
//	job.go       one run of a smartcard agent over a session; progress.go tells how far it is
//	display.go   what the page shows of the prescriptions behind the payloads
//	verify.go    nothing is released before it holds
//	response.go  GET /signatureresponse/{token}
//	outbox.go    the webhook that tells the client, queued in the commit that ends the session
//
// The states of a session:
//
//	created ──open──▶ opened ──sign──▶ signing ──all verified──▶ signed
//	   │                ▲  │              │
//	   │                │  │              ├─ verification refused, or the last try ─▶ failed
//	   │                │  │              │
//	   │                └──┼── lease ran out, no card, wrong PIN, agent away
//	   │                   │              │
//	   │                   └──────────────┴─ the person cancels ─▶ cancelled
//	   └── not signed in time, from here or from opened ─▶ expired
//
// A run that began in time may end within one lease past the deadline.
//
// A state that time alone changes (expired; signing whose lease ran out) is not written but read: it follows
// from the record and the clock, so it is the same on every node and after every restart. Only where a webhook
// tells of such an end is it written down first, so that no node whose clock is behind can end it in another way.
//
// The package never releases a signature that it did not verify over the bytes it stored, never trusts an
// agent, never writes a token, a JWT, a payload or a user id to a log, and knows neither Caddy nor a store's
// engine.
package signing
