// Package smartcard is the smartcard agent's protocol: a job goes to the agent over mutual TLS, and one line comes
// back as each item is signed (AGT-A). The package has both ends: Agent asks, and Server answers for a Signer, which
// holds the card.
//
//	POST /sign    {job, sub, client, algorithm, payloads:[{id, payload}…]}
//
//	  start ──certificate──▶ signing ──signature, once per id──▶ signing ──done, counts right, end──▶ result
//	    │                       │
//	    └────────error──────────┴──▶ *Error; nothing is kept
//
//	GET /health   {ready, card, subject}
//
// An agent is never trusted. Agent returns a result only if the answer holds exactly one certificate, exactly one
// signature for each id of the job, a done line with the right counts, and then ends; everything else is an *Error
// with a stable code. Agent does not check the certificate or the signatures: package signing does so for every route
// to a card.
//
// Server answers a request only if its verified client certificate is named in AllowClients, and never writes a done
// line after an incomplete job. Neither end logs a payload, a signature or a user.
package smartcard
