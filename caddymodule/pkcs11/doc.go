//go:build (linux || darwin) && (amd64 || arm64)

// Package pkcs11 adds to a Caddy build the smartcard agent for real cards, smartcard_agent pkcs11, and the command
// "caddy countersign cards". It is a separate package because it makes the binary dynamically linked: the vendor's
// library needs the system's C library. It supports Linux and macOS.
//
// The gateway never loads that library itself. It runs its own program again, as the hidden command "caddy
// countersign pkcs11-child", and talks to that process (package smartcard/pkcs11).
package pkcs11

import (
	"os"
	"runtime"
)

// self returns the command line that runs this program again.
func self() ([]string, error) {
	program := "/proc/self/exe" // names this program even if its file was replaced meanwhile
	if runtime.GOOS != "linux" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	return []string{program, "countersign", childName}, nil
}
