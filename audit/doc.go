// Package audit keeps an append-only record of what was signed, for whom, and with what outcome, in a way that
// shows whether anything was changed or taken out afterwards.
//
// A log is a directory of files of JSON lines. Each line is an entry that carries the SHA-256 of the line before
// it, so the lines form one chain across all files. From time to time, and when the log is closed, an entry of the
// kind "head" signs the chain up to there with a key of the gateway (Ed25519), so that whoever can write to the
// directory cannot make a chain of their own.
//
//	{"seq":7,"time":"…","prev":"<hash of 6>","kind":"signing","data":{…},"hash":"<SHA-256 of all before it>"}
//	{"seq":8,"time":"…","prev":"<hash of 7>","kind":"head","data":{"kid":"…","signature":"…"},"hash":"…"}
//
// An entry is durable before Append returns. The package never changes or deletes a line that was acknowledged,
// knows nothing of what the data means, and cannot show by itself that the end was cut off: entries behind a head, or
// heads as well. Who has noted a head elsewhere can.
package audit
