// Package jwks verifies and mints JSON Web Signatures and manages the keys they need: it parses compact JWS
// strictly, holds the public keys of client systems, holds and publishes the gateway's own keys, and mints
// tokens for programs that act as a client.
//
//	Parse            parses one compact JWS strictly; nothing in it is proven yet
//	Token.Verify     verifies the signature under a Key
//	Token.Decode     decodes the claims into the caller's own struct
//	ParseSet         parses a JWK set as published in the wild, or says why it cannot
//	Registry, Cache  clients' keys from PEM files, set files and set URLs, reloaded without a restart
//	Ring             the gateway's Ed25519 keys: next → signing → former, published in all three states
//	Signer           mints RS512 tokens
//
// A token is untrusted input until Verify has returned nil. The caller chooses the algorithm and the header
// must match; the algorithm is never taken from the header. A key is looked up in the registry by client and
// kid, never taken from the token. Private members in a published set, unknown critical headers, duplicate or
// case-folded JSON names and non-canonical base64 are rejected, not repaired.
//
// No log line and no error of this package contains a token, the value of a claim or a private key. No other
// package imports jwx or golang-jwt, and none of their types is exported.
package jwks
