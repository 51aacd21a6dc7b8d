//go:build unix

package pkcs11

import (
	"errors"
	"syscall"
)

// apart starts a child in its own process group: the interrupt key at a terminal is for the gateway, which then lets
// jobs complete.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
