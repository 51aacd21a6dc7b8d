// Package mocksigner is a fake smartcard agent: a smartcard.Signer whose one key signs for anybody, with faults
// by name and by rate, for suppliers who test against it and for our own tests of what a gateway must refuse.
//
// Its certificates come from the installation's own mock CA, which LoadCA makes once and keeps in a Vault; it
// is never shipped. Every subject says that it is a mock and not for clinical use. A gateway that trusts the
// mock CA (`trust mock`) trusts it for the mock agent alone, and never in production.
//
// The package reads no configuration, opens no connection and keeps no private key but in the Vault.
package mocksigner
