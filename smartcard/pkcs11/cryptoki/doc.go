//go:build (linux || darwin) && (amd64 || arm64)

// Package cryptoki calls a PKCS#11 module, the card vendor's shared library, without cgo. It covers only what signing
// with a smartcard needs of PKCS#11 2.40. It is the only package that imports purego, which makes a binary
// dynamically linked, so it belongs only in opt-in builds.
//
// A module runs in the process that opens it and may crash or hang it. Package child therefore opens modules in a
// separate process; the gateway itself never does. Use a Module from one goroutine, locked to its thread: vendors
// test their modules with single-threaded programs.
//
// The layouts are those of 64-bit Linux and macOS, where CK_ULONG has 8 bytes and structures are naturally aligned.
// Windows, with 4 bytes and packed structures, is not supported.
//
//	Open ──▶ Slots ──▶ OpenSession ──▶ Login ──▶ Find, Attribute ──▶ SignInit ──▶ Sign … ──▶ CloseSession ──▶ Close
package cryptoki
