// Package intake keeps a request's body apart from whatever follows it on the connection.
//
// On HTTP/1, the unread rest of a body stays in the connection and would be parsed as the next request. net/http prevents
// that only for the body types it knows, but Caddy wraps every body, and full duplex turns off the rest of the protection.
// Every handler therefore runs behind Guard:
//
//	answer begins ─▶ body at its end ──────────────────────────▶ connection is kept
//	             ├─▶ small rest: read it, then answer ─▶ at its end? kept, else as below
//	             └─▶ Connection: close ─▶ answer ─▶ drop the rest, up to 8 MiB or 5 s ─▶ closed
//
// The rest is read and dropped because a caller that sends its whole request before it reads would otherwise see a broken
// connection instead of the answer. HTTP/2 and HTTP/3 need none of this: they frame bodies and reset the stream.
//
// A handler reads a body as a member of a Group. The callers of a Group share a pool (package share) until they are
// proven. Until then, their bodies must also arrive at a minimum rate.
//
// The package knows nothing of Caddy or of what a body holds.
package intake
