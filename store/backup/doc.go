// Package backup writes the contents of a store to a file and restores such a file into an empty store. The two
// stores may have different engines, so a backup also moves an installation from one engine to another.
//
// A backup is gzipped JSON lines: a header, one line per record and a trailer. It can be read with
// gzip -dc FILE | jq. The trailer has the number of records and the SHA-256 of all lines before it;
// a file without it is incomplete and is rejected before any record is restored.
//
//	{"format":1,"made":"2026-11-22T09:00:00Z"}
//	{"key":"…","value":"<base64>","expires":"…","queue":"…","due":"…","index":"…"}
//	…
//	{"records":2,"sha256":"<hex>"}
//
// A backup contains what the store contains: payloads, signatures and the ids of people, but none of the gateway's
// keys, which are never in a store. Versions are not kept: a restored record gets a new one, and no process
// remembers an old one across a restart.
package backup
