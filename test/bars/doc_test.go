// Package bars_test checks the BaRS proxy and the sender of the built binary against the contract (BAR-1, BAR-2) from
// outside: with receivers that fail on purpose, and certificates of throwaway authorities.
package bars_test
