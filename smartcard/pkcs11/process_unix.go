//go:build unix

package pkcs11

import (
	"errors"
	"syscall"
)

// apart puts a child into a process group of its own: the interrupt key at a terminal is for the gateway, which
// then lets jobs end.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func isBrokenPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
