// Package client implements a client system of the Signing Service: it prepares a signing request, sends it, fetches the
// signatures and verifies them. The command line and the demo use it, and it is meant to be read by those who write their
// own client. The wire format is that of SIG-1, SIG-3 and SIG-4.
//
//	SignedInfo(algorithm, document)  one payload: the document's digest in a canonical element
//	     │
//	Client.Prepare   →  the JWT; keep it, because sending it again recovers a lost answer
//	Client.Send      →  Ticket{Token, RedirectURI}; the user's browser goes to RedirectURI
//	     ⋮              the person signs; the browser comes back with the token and the state
//	ReadReturn       →  Return{Token, Error, Reason}; a hint
//	Client.Fetch     →  Response{Signatures, Certificate}
//	     │
//	Verify           →  nil only if every payload, in its place, has a valid signature
//
// AsBrowser replaces the person's browser if the mock completes the request.
//
// The package never trusts a signature because the service sent it, never follows a redirect (a request carries a signed
// JWT and may carry an access token), never reads an answer without a limit, and never includes a token, a JWT or a payload
// in an error. It does not decide whose certificate may sign: the service has verified the chain, and a client that needs
// to do so too checks Response.Leaf against the issuers it trusts.
package client
