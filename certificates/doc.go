// Package certificates decides whether a smartcard's certificate may stand behind a signature: issued by somebody
// trusted for it, valid when it signed, for signing, of an accepted key, the person's own, and not revoked (SIG-5).
//
//	policy.go      the order of the checks
//	chain.go       who issued it; sha1.go for the issuers of old
//	holder.go      what it may be used for, its key, and whose it is
//	revocation.go  what revokes it, and what happens where nobody can say
//	lists.go       revocation lists: fetched, kept, refreshed; list.go reads one, points.go says where it is
//	ocsp.go        the responder that a certificate names
//
// What is known of a revocation list:
//
//	         first use              half its life, or Refresh, is over
//	none ──── fetch ───▶ current ──────────── background fetch ───────────▶ current
//	  ▲                     │ nextUpdate, and Stale, have passed without a newer one
//	  │                     ▼
//	  └── as good as ──── stale: what it lists is revoked; for what it does not list nobody can say
//
// A fetch that fails, or brings something that is not the issuer's own list, or an older one, changes nothing of what
// is held; it is tried again after 30 seconds, then 1 minute, 2 and so on up to 15. Lists are kept on disk, and are
// read from there at the next start.
//
// An address out of a certificate is used only once the certificate's chain holds, only for hosts that were named,
// and never reaches a private network unless its operator allowed that. Nothing that this package says, logs or
// keeps names a person.
package certificates
