// Package smartcard is the smartcard agent's wire: a job goes to the agent over mutual TLS, and one line
// comes back as each item is signed (AGT-A). The package holds both ends of it:
// Agent asks, Server answers for whatever Signer holds the card.
//
//	POST /sign    {job, sub, client, algorithm, payloads:[{id, payload}…]}
//
//	  start ──certificate──▶ signing ──signature, once per id──▶ signing ──done, counts right, end──▶ result
//	    │                       │
//	    └────────error──────────┴──▶ *Error; nothing is kept
//
//	GET /health   {ready, card, subject}
//
// An agent is never trusted. Agent gives a result only when the answer holds exactly one certificate, exactly
// one signature for each id of the job, a done line with the right counts, and then ends; everything else is
// an *Error with a stable code. It never judges the certificate or verifies a signature: that is package
// signing's, which does it for every way to a card.
//
// Server never answers a request without a verified client certificate that is named in AllowClients, and
// never writes a done line over an incomplete job. Neither end logs a payload, a signature or a user.
package smartcard
