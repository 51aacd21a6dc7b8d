// Package oauth is about API-M access tokens (TOK-1 to TOK-8): it issues them to client systems that
// prove themselves by a signed assertion, it checks them where they are shown, and it fetches them for an
// application that has a key of its own.
//
//	Service   POST /token, /openapi.json, /_ping, /_status: an http.Handler
//	Checker   what an Authorization header stands for, or why it stands for nothing
//	Source    an application's tokens: minted assertion → token, kept, renewed early
//
// A token is opaque: 28 letters and digits from the system's randomness. The store knows it by its SHA-256
// alone, so whoever reads the store can use none. What it stands for is kept in one record:
//
//	issued ──599 s──▶ expired ──10 min──▶ unknown
//
// An assertion is a stranger's text until its signature holds. Only then does it spend anything: its jti and
// the client's rate are settled in the very commit that makes the token, so a token exists if, and only if, its
// jti is spent, on every node, and a store that is away means no token.
//
// The package knows neither Caddy nor an engine, and never logs or returns in an error a token, an assertion or
// a claim's value other than the client id.
package oauth
