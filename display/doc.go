// Package display keeps what a person is shown of prescriptions until they are signed.
//
// A Keeper takes the fragments behind a payload from whoever has seen the prescription (package eps), and gives the
// Signing Service the prescription that they hold, if they are still the ones behind the payload that is to be signed.
// What it gives is read from the fragments alone (prescription.Display).
//
//	keeper.go    Keep and Find
//	look.go      who has looked at a display
//	seal.go      how fragments stand in the store
//	secrets.go   the secrets they are sealed with: one a day, each destroyed with the last display it protects
//	quota.go     how many displays a client may have
//
// Fragments are sealed with AES-GCM under a key that derives from a secret in Caddy's storage, the client and the
// payload. Whoever has the store and all digests, but not that storage, can open nothing. Records are volatile, so
// backups leave them out. The package writes no log, since everything it handles is about patients, and knows no
// sessions: who may see a display is for the Signing Service to say.
package display
