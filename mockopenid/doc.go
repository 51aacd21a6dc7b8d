// Package mockopenid stands in for an OpenID provider such as NHS CIS2, in sandboxes, integration and demos: a list
// of made-up people, any of whom anybody may choose to be. It proves nothing about anybody, says so on its page and in
// every token (amr mock), and must never be trusted in production.
//
// It keeps no state but its key: a code is what it stands for, signed, so any node takes one that another gave.
//
//	/.well-known/openid-configuration  /jwks.json  /authorize  /token  /userinfo  /logout
package mockopenid
