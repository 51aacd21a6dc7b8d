// Package certificates decides whether a smartcard's certificate is accepted for a signature: issued by an accepted
// issuer, valid when it signed, for signing, with an accepted key, the person's own, and not revoked (SIG-5).
//
//	policy.go      the order of the checks
//	chain.go       who issued it; sha1.go for old issuers
//	holder.go      what it may be used for, its key, and whose it is
//	revocation.go  what revokes it, and what happens if that cannot be determined
//	lists.go       revocation lists: fetched, stored, refreshed; list.go parses one, points.go finds its address
//	ocsp.go        the responder that a certificate names
//
// The states of a revocation list:
//
//	         first use              half its life, or Refresh, is over
//	none ──── fetch ───▶ current ──────────── background fetch ───────────▶ current
//	  ▲                     │ nextUpdate, and Stale, have passed without a newer one
//	  │                     ▼
//	  └── the same as ─── stale: what it lists is revoked; what it does not list is undetermined
//
// A fetch that fails, or returns something that is not the issuer's own list, or an older one, changes nothing. It is
// retried after 30 seconds, then 1 minute, 2 minutes and so on up to 15. Lists are stored on disk and read from there at
// the next start.
//
// An address from a certificate is used only after the certificate's chain was verified, only for configured hosts, and
// never reaches a private network unless the operator allows it. No error, log line or file of this package identifies a
// person.
package certificates
