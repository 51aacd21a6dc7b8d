// Package share divides a limited resource, such as memory for requests, among callers that are not yet proven.
//
// A Pool has a size in bytes or slots. Each Hold belongs to a caller. An address's share is what its unproven callers
// hold together:
//
//	Take, Grow ─▶ room left ─────────────────────────────────────────▶ held
//	          └─▶ full ─▶ the address with the largest share gives up its oldest Hold, until there is room ─▶ held
//	          └─▶ full, and only proven callers hold anything ──────▶ ErrFull
//
//	held ─▶ Prove: leaves the share, is never given up, and still counts in the pool
//
// So strangers cannot lock newcomers out, whatever their number and addresses: each newcomer takes over what they give up.
// Between two equal shares, the one with the older Hold gives up. A whole hospital may share one address, so proven
// callers have no share.
//
// The package knows nothing of HTTP or Caddy, starts no goroutine and keeps nothing on disk.
package share
