// Package credential serves the protocol of NHS Credential Management on a person's own machine, so that a signing
// page made for Credential Management can use this agent as well (AGT-B).
//
// It serves only loopback, and only pages of configured origins: every other page, name or machine is refused before
// its request is read. It never says whose card is in the reader. A page can only ask: the person agrees at the card,
// by entering the PIN.
//
//	page ── GET /PRS/GetPortNumber ────────▶ where the hub is
//	page ── GET /signalr/negotiate ────────▶ a connection
//	page ── GET /signalr/connect, /start ──▶ it is open
//	page ── POST /signalr/send ────────────▶ requestToSign; the answer comes when the card is done
//	page ── GET /signalr/poll ─────────────▶ (nothing is ever pushed)
//	page ── POST /signalr/abort ───────────▶ it is over; what was under way stops before the next item
//
// The hub speaks ASP.NET SignalR 2 (classic) over long polling, protocol 1.5.
package credential
