// Package audit keeps an append-only log of what was signed, for whom and with what outcome, and proves whether anything
// in it was changed or removed.
//
// A log is a directory of JSON lines files. Each line is an entry that contains the SHA-256 of the line before it, so all
// lines form one chain across all files. A head is an entry that signs the chain up to it with a key of the gateway
// (Ed25519). While entries are added a head is written at least every minute and every 1,000 entries, and whenever the log
// is opened or closed.
//
//	{"seq":7,"time":"…","prev":"<hash of 6>","kind":"signing","data":{…},"hash":"<SHA-256 of all before it>"}
//	{"seq":8,"time":"…","prev":"<hash of 7>","kind":"head","data":{"kid":"…","signature":"…"},"hash":"…"}
//
// Each file begins with an entry of the kind "log", which has the log's name, followed by the gateway's public keys. Keys
// are introduced when they are published, days before they sign, so a head by the current key vouches for the next
// one.
//
// What the chain proves depends on who could write to the directory:
//
//   - Without a key of the gateway, nothing before the last head can be changed, removed or inserted unnoticed. The log
//     can still be cut back to an earlier head, or removed.
//   - With the keys, as root on the gateway has them, the log can be rewritten. A rewritten log cannot contain a Position
//     that is kept elsewhere, so positions are handed outside: see Position.
//
// An entry is durable before Append returns. The package never changes an acknowledged line, deletes only whole files and
// only after a signed record of them (see Log.Remove), and does not interpret the data of its callers.
//
//	entry.go, kinds.go    one line; the kinds of entries that the log itself writes
//	position.go           a number and a hash that stand for everything before
//	promise.go            when a head is due
//	log.go, file.go       appending; open.go finds the end of the chain
//	head.go               signs heads, introduces keys
//	verify.go, trust.go   what is proven, and whose keys count; read.go reads without judging heads
package audit
