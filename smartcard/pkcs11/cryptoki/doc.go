//go:build (linux || darwin) && (amd64 || arm64)

// Package cryptoki calls a PKCS#11 module, a shared library of the card's vendor, without cgo: what signing
// with a smartcard takes of PKCS#11 2.40, and no more. It is the only package that imports purego, which makes
// a binary dynamically linked, so it belongs in opt-in builds alone.
//
// A module runs in the process that opens it and may crash or hang it. Package child therefore opens modules in
// a process of their own; the gateway itself never does. A Module is for one goroutine, which should be locked
// to its thread: vendors test their modules with programs of one thread.
//
// The layouts are those of Linux and macOS on 64 bits, where CK_ULONG has 8 bytes and structures are aligned
// naturally. Windows, with 4 bytes and packed structures, is not covered.
//
//	Open ──▶ Slots ──▶ OpenSession ──▶ Login ──▶ Find, Attribute ──▶ SignInit ──▶ Sign … ──▶ CloseSession ──▶ Close
package cryptoki
