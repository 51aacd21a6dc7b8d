package gateway

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Two that share a port are noticed as long as both are there.
func TestListenersOfOnePort(t *testing.T) {
	share := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var err error
		if asked := conn.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
		}); asked != nil {
			return asked
		}
		return err
	}}
	address := loopback(FreePort(t))
	listen := func() *net.TCPListener {
		t.Helper()
		listener, err := share.Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() }) // perhaps for the second time
		return listener.(*net.TCPListener)
	}
	first := listen()
	port := first.Addr().(*net.TCPAddr).Port
	if err := oneListener(port); err != nil {
		t.Error(err)
	}
	second := listen()
	if err := oneListener(port); err == nil {
		t.Error("two were taken for one")
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := oneListener(port); err != nil {
		t.Error(err)
	}
}
