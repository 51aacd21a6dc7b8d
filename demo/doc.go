// Package demo is a client system to try the Signing Service with: a small web site that makes example
// prescriptions, has them signed, and verifies what comes back. It is a real client of the service (package
// client) with a key of its own; only its people and prescriptions are made up.
//
//	GET  /            what it is, and one button for each size of batch
//	POST /sign        makes the prescriptions and the request, and sends the browser to the signing page
//	GET  /signed      the way back: fetches, verifies and shows the signatures
//	POST /webhook     is told, server to server, what became of a request; GET /webhooks shows what it was told
//	GET  /jwks.json   its public key
//	GET  /assets/…    its stylesheet and icon
//
// Paths are relative to where it is mounted, and so are all its links: it never needs to know. Its key:
//
//	Start ──▶ load from the vault ──▶ ready
//	              │ there is none        ▲
//	              └──▶ make RSA-4096 ──▶ save
//
// A batch is kept in memory for an hour. It is found by the state that comes back with the browser and by a secret in
// that browser's cookie. Prescriptions are not kept: they are made again from the batch's seed.
//
// The demo never shows a signature as verified only because the service released it, never takes a real person's
// data, needs no script, and is not for production.
package demo
