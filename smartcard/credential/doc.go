// Package credential serves the wire of NHS Credential Management on a person's own machine, so that a signing page
// that drives Credential Management drives an agent of ours as well (AGT-B).
//
// It is for loopback alone and for pages of the origins that it was given: every other page, name or machine is
// refused before anything is looked at. It never says whose card is in the reader, and never trusts a page with more
// than to ask: the person agrees at the card, by the PIN.
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
