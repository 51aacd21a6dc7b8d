// Package openid is the way to an OpenID provider: a Provider of package oauth, made of coreos/go-oidc and
// golang.org/x/oauth2, which no other package imports.
//
// What the provider says of itself (OpenID Connect Discovery) is fetched when it is first needed, kept for an hour,
// and used on when it cannot be fetched again:
//
//	unknown ──first use──▶ known ──1 h──▶ ageing ──the next use──▶ known
//
// Its keys are kept by a jwks.Cache. ID tokens count with RS256 and RS512 alone, and with a kid.
//
// The package keeps no token of the provider's, fetches nothing but through the client that it is given, reads no
// more than a MiB of any answer, and never has a token, a code or a person in an error.
package openid
