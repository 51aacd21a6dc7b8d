// Package mocksigner is a mock smartcard agent: a smartcard.Signer whose only key signs for everybody, with faults by
// name and rate. Suppliers test against it, and our tests check with it what a gateway must refuse.
//
// Its certificates come from the installation's own mock CA, which LoadCA makes once and keeps in a Vault; no CA is
// ever shipped. Every subject says that it is a mock and not for clinical use. A gateway that trusts the mock CA
// (`trust mock`) trusts it only for the mock agent, and never in production.
//
// The package reads no configuration, opens no connection and keeps no private key except in the Vault.
package mocksigner
