//go:build (linux || darwin) && (amd64 || arm64)

// Package child is the process that holds a vendor's PKCS#11 module for the agent. The module can crash it, hang
// it or print what it likes: the agent sees that, kills it and starts another.
//
// It does what package pipe describes, one request after the other, on one thread. It decides nothing: which card
// and certificate sign is the agent's choice, and Begin names them. It only holds fast to that choice: a PIN is
// shown to the very card that was chosen or to none, and all of a batch is signed with one key.
//
//	 ┌──────── End, or a new Begin ────────┐
//	 ▼                                     │
//	idle ──Begin: session, login, key──▶ ready ──Sign──▶ ready …
//
// It never logs, never writes a file, and keeps a PIN only while a key demands it before every signature.
package child

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/cryptoki"
	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pipe"
)

// farewell is how long the module may take to finalise once the agent is gone.
const farewell = 2 * time.Second

// Main is the whole life of the process: it loads the module and serves the agent on standard input and output
// until the input ends. It must be the last thing that the process does, since a module that hangs is left behind.
func Main(module string) error {
	in, out, err := takeStandard()
	if err != nil {
		return err
	}
	// A core dump would hold the PIN.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // what cannot be limited was forbidden already
	return serve(in, out, module)
}

// takeStandard takes standard input and output for the agent alone: what the module prints goes where its errors go.
func takeStandard() (in, out *os.File, err error) {
	input, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, nil, err
	}
	output, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, nil, err
	}
	null, err := syscall.Open(os.DevNull, syscall.O_RDONLY, 0)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(unix.Dup2(null, 0), unix.Dup2(2, 1)); err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(input), "agent"), os.NewFile(uintptr(output), "agent"), nil
}

// serve has requests read and answered by a goroutine that has its thread to itself, one thread from the pipe into
// the module and back; and watches for the end of the agent, also while the module hangs.
func serve(in, out *os.File, module string) error {
	ended, gone := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		ended <- work(in, out, module)
	}()
	go func() { // ends with the process
		awaitEnd(in)
		close(gone)
	}()
	select {
	case err := <-ended:
		return err
	case <-gone:
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(farewell):
		return errors.New("the module did not finalise")
	}
}

// awaitEnd waits until nobody can write to a pipe any more.
func awaitEnd(in *os.File) {
	fd := []unix.PollFd{{Fd: int32(in.Fd())}} //nolint:gosec // descriptors are small
	for fd[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) == 0 {
		if _, err := unix.Poll(fd, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// work loads the module and answers requests until there are no more.
func work(in io.Reader, out io.Writer, path string) error {
	module, err := cryptoki.Open(path)
	if err != nil {
		return reply(out, pipe.Failed, failure(err), nil)
	}
	about, err := module.Info()
	if err != nil {
		return reply(out, pipe.Failed, failure(err), nil)
	}
	if err := reply(out, pipe.Hello, pipe.Greeting{Version: pipe.Version, Module: about}, nil); err != nil {
		return err
	}
	holder := &holder{module: module}
	defer module.Close() //nolint:errcheck // nobody is left to tell
	defer holder.end()   //nolint:errcheck // nobody is left to tell
	for {
		request, err := pipe.Read(in) // without a buffer between, which would keep a PIN
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		verb, head, raw, err := holder.answer(request)
		request.Wipe()
		if err != nil {
			verb, head, raw = pipe.Failed, failure(err), nil
		}
		if err := reply(out, verb, head, raw); err != nil {
			return err
		}
	}
}

func (h *holder) answer(request *pipe.Frame) (verb pipe.Verb, head any, raw []byte, err error) {
	switch request.Verb {
	case pipe.List:
		listing, err := h.list()
		return pipe.Cards, listing, nil, err
	case pipe.Begin:
		var batch pipe.Batch
		if err := request.Head(&batch); err != nil {
			return 0, nil, nil, err
		}
		ready, err := h.begin(batch, request.Raw)
		return pipe.Begun, ready, nil, err
	case pipe.Sign:
		signature, err := h.sign(request.Raw)
		return pipe.Signed, nil, signature, err
	case pipe.End:
		return pipe.Done, nil, nil, h.end()
	}
	return 0, nil, nil, fmt.Errorf("no request has the verb %d", request.Verb)
}

func reply(out io.Writer, verb pipe.Verb, head any, raw []byte) error {
	frame, err := pipe.New(verb, head, raw)
	if err != nil {
		return err
	}
	return frame.Write(out)
}
