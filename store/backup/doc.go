// Package backup writes everything that a store holds into a file, and fills an empty store from one, of whatever
// engine the two are: so it also moves an installation from one engine to another.
//
// A backup is JSON, one line a record and a first and a last one about the whole, compressed by gzip: so it can be
// looked at (gzip -dc FILE | jq). The last line has the number of records and the SHA-256 of all lines before it;
// a file without it was cut short and is refused, before anything is restored from it.
//
//	{"format":1,"made":"2026-11-22T09:00:00Z"}
//	{"key":"…","value":"<base64>","expires":"…","queue":"…","due":"…","index":"…"}
//	…
//	{"records":2,"sha256":"<hex>"}
//
// It holds what the store holds: payloads, signatures and the ids of people, but none of the gateway's keys, which
// never are in a store. Versions are not kept: a restored record gets a new one, and nobody remembers an old one over
// a restart.
package backup
