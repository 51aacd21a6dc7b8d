// Package share divides what there is only so much of, such as memory for requests, among callers who have proven
// nothing yet.
//
// A Pool has a size, in bytes or in slots. Each Hold on it belongs to a caller. What the unproven hold is counted by
// address, and that is an address's share:
//
//	Take, Grow ─▶ there is room ─────────────────────────────────────▶ held
//	          └─▶ none ─▶ the address that holds most gives up its oldest Hold, and so on until there is ─▶ held
//	          └─▶ none, and only the proven hold anything ──────────▶ ErrFull
//
//	held ─▶ Prove: leaves the share, is never given up, and still counts in the pool
//
// So strangers take nothing from those who come after them, however many they are and from however many addresses they
// come: each newcomer gets what they lose. Of two addresses that hold as much, the one that waits longer gives up.
// Behind one address may be a whole hospital, so that whoever has proven who they are has no share.
//
// The package knows neither HTTP nor Caddy, starts no goroutine and keeps nothing on disk.
package share
