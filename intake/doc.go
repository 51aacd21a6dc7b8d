// Package intake keeps a request's body apart from whatever follows it on the connection.
//
// On HTTP/1 a body that nobody has read to its end stays in the connection, where its bytes would be taken for the next
// request. net/http prevents that by itself only for the body types it knows: Caddy wraps every body, and full duplex
// turns the rest of net/http's care off. So each handler stands behind Guard:
//
//	answer begins ─▶ body at its end ──────────────────────────▶ connection lives on
//	             ├─▶ small rest: read it, then answer ─▶ at its end? lives on, else as below
//	             └─▶ Connection: close ─▶ answer ─▶ drop the rest, up to 8 MiB or 5 s ─▶ closed
//
// The rest is dropped rather than cut off because a caller that sends everything before it reads would otherwise find a
// broken connection in place of its answer. HTTP/2 and HTTP/3 frame bodies and reset the stream themselves.
//
// A handler that reads a body does so as one of a Group, whose callers share a pool (package share) until they have
// proven who they are. While they have not, their bodies have to arrive at a lowest rate.
//
// The package knows neither Caddy nor what a body holds.
package intake
