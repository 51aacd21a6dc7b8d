// Package jwks is about keys and what they prove: it reads compact JWS strictly, keeps the public keys of
// client systems, keeps and publishes the gateway's own, and mints tokens for those who act as a client.
//
//	Parse            one compact JWS, read strictly, nothing believed yet
//	Token.Verify     its signature holds under a Key
//	Token.Decode     its claims, into the caller's own struct
//	ParseSet         a JWK set as it is published in the wild, or a clear line why not
//	Registry, Cache  clients' keys from PEM files, set files and set URLs, changed without a restart
//	Ring             the gateway's Ed25519 keys: next → signing → former, each published throughout
//	Signer           mints RS512 tokens
//
// A token is a stranger's text until Verify returned nil. The algorithm is chosen by the caller and compared
// with the header, never taken from it; a key comes from the registry by client and kid, never from the
// token. Private members in a published set, unknown critical headers, duplicate or case-folded JSON names
// and non-canonical base64 are refused, not repaired.
//
// The package never logs or returns in an error a token, a claim's value or a private key. It is the only
// one that imports jwx and golang-jwt, and no type of theirs leaves it.
package jwks
