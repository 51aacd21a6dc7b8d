//go:build (linux || darwin) && (amd64 || arm64)

// Package pkcs11 adds to a Caddy build the smartcard agent for real cards, smartcard_agent pkcs11, and the command
// "caddy countersign cards". It is a package of its own because it makes the binary dynamically linked: the vendor's
// library needs the system's C library. It is for Linux and macOS.
//
// The gateway never loads that library itself. It starts its own program once more, as the hidden command
// "caddy countersign pkcs11-child", and speaks with that (package smartcard/pkcs11).
package pkcs11

import (
	"os"
	"runtime"
)

// self is how this program starts itself as the module's process.
func self() ([]string, error) {
	program := "/proc/self/exe" // is this very program, even when its file was replaced meanwhile
	if runtime.GOOS != "linux" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	return []string{program, "countersign", childName}, nil
}
