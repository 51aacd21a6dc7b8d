// Package client is a client system of the Signing Service: it makes a signing request, sends it, fetches
// the signatures and verifies them. The command line and the demo are built on it, and it is meant to be
// read by whoever writes a client of their own. Source of the wire: SIG-1, SIG-3, SIG-4.
//
//	SignedInfo(algorithm, document)  one payload: a digest of the document in a canonical element
//	     │
//	Client.Prepare   →  the JWT; keep it, for sending it again is how a request survives a lost answer
//	Client.Send      →  Ticket{Token, RedirectURI}; the user's browser goes to RedirectURI
//	     ⋮              the person signs; the browser comes back with the token and the state
//	ReadReturn       →  Return{Token, Error, Reason}; a hint
//	Client.Fetch     →  Response{Signatures, Certificate}
//	     │
//	Verify           →  nil only if every payload, in its place, has a signature that holds
//
// AsBrowser stands in for the person's browser where a request is completed by the mock.
//
// It never believes a signature because the service sent it, never follows a redirect (a request carries a
// signed JWT and may carry an access token), never reads an answer without a bound, and never puts a token,
// a JWT or a payload into an error. It does not decide whose certificate may sign: the service has checked
// the chain, and a client that must know it too checks Response.Leaf against the issuers it trusts.
package client
