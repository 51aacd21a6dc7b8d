// Package audit keeps an append-only record of what was signed, for whom, and with what outcome, and shows whether
// anything in it was changed or removed.
//
// A log is a directory of files of JSON lines. Each line is an entry that holds the SHA-256 of the line before it, so
// all lines form one chain across all files. A head is an entry that signs the chain up to it with a key of the gateway
// (Ed25519). One is written at least every minute and every 1,000 entries while entries are added, and when the log is
// opened or closed.
//
//	{"seq":7,"time":"…","prev":"<hash of 6>","kind":"signing","data":{…},"hash":"<SHA-256 of all before it>"}
//	{"seq":8,"time":"…","prev":"<hash of 7>","kind":"head","data":{"kid":"…","signature":"…"},"hash":"…"}
//
// Each file begins with an entry of the kind "log", which holds the log's name, followed by the gateway's public keys.
// Keys are introduced as soon as they are published, days before they sign, so a head by the present key vouches for
// the next one.
//
// What the chain proves depends on who wrote to the directory:
//
//   - Without a key of the gateway nothing before the last head can be changed, removed or inserted unnoticed. The log
//     can still be cut back to an earlier head, or taken away.
//   - With the keys, as root on the gateway has them, a log can be written anew. What such a log cannot do is contain a
//     Position that somebody keeps elsewhere, so Positions are handed outside: see Position.
//
// An entry is durable before Append returns. The package never changes a line that was acknowledged, deletes whole files
// only behind a signed record of them (see Log.Remove), and knows nothing of what the data of its callers means.
//
//	entry.go, kinds.go    one line; the kinds of entries that the log writes itself
//	position.go           a number and a hash, which stand for everything before
//	promise.go            when a head is due
//	log.go, file.go       appending; open.go finds the end of the chain
//	head.go               signing heads, introducing keys
//	verify.go, trust.go   what holds, and whose keys count; read.go reads without judging heads
package audit
