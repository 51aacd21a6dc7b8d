// Package openid_test proves tokens with a user from outside: the built binary between a real OpenID provider (Node's
// oidc-provider), a real client (Node's openid-client), a real browser (Chromium) and a verifier that is not ours
// (OpenSSL).
package openid_test
