// Package bars_test holds the BaRS proxy and the sender of the built binary to the contract (bars §1 and §2), from
// outside: with receivers that fail on purpose, and certificates of throwaway authorities.
package bars_test
