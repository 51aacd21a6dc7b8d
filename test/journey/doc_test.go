// Package journey_test judges the built binary from outside, against the contract. Requests are made and
// signatures verified by OpenSSL and xmlsec1; nothing of the product is imported.
package journey_test
