// Package mockopenid stands in for an OpenID provider such as NHS CIS2 in sandboxes, integration and demos. It has a
// list of made-up people, and anybody may sign in as any of them. It proves nothing about anybody, says so on its
// page and in every token (amr mock), and must never be trusted in production.
//
// Its only state is its key: codes, tokens and the sessions that a browser keeps are signed and self-contained, so any
// node accepts those of another.
//
//	/.well-known/openid-configuration  /jwks.json  /authorize  /token  /userinfo  /logout
package mockopenid
