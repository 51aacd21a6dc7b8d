//go:build (linux || darwin) && (amd64 || arm64)

// Package child is the process that loads a vendor's PKCS#11 module for the agent. The module can crash it, hang it
// or print anything: the agent notices, kills it and starts another.
//
// It serves the requests of package pipe, one after the other, on one thread. It makes no decisions: the agent
// chooses the card and certificate, and Begin names them. It only enforces that choice: a PIN is presented to the
// chosen card or to none, and all of a batch is signed with one key.
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

// farewell is how long the module may take to finalise after the agent has gone.
const farewell = 2 * time.Second

// Main runs the process: it loads the module and serves the agent on standard input and output until the input ends.
// The process must do nothing after it, because a hanging module is left behind.
func Main(module string) error {
	in, out, err := takeStandard()
	if err != nil {
		return err
	}
	// A core dump would hold the PIN.
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // if the limit cannot be set, it was set already
	return serve(in, out, module)
}

// takeStandard reserves standard input and output for the agent: the module's output goes to standard error.
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

// serve reads and answers requests in a goroutine locked to its thread, which also calls the module. It watches for
// the end of the agent meanwhile, even if the module hangs.
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

// awaitEnd waits until no writer of a pipe is left.
func awaitEnd(in *os.File) {
	fd := []unix.PollFd{{Fd: int32(in.Fd())}} //nolint:gosec // descriptors are small
	for fd[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) == 0 {
		if _, err := unix.Poll(fd, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// work loads the module and answers requests until the input ends.
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
	defer module.Close() //nolint:errcheck // //nolint:errcheck // nobody is left to report to
	defer holder.end()   //nolint:errcheck // //nolint:errcheck // nobody is left to report to
	for {
		request, err := pipe.Read(in) // unbuffered: a buffer would keep a PIN
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
	return 0, nil, nil, fmt.Errorf("unknown verb %d", request.Verb)
}

func reply(out io.Writer, verb pipe.Verb, head any, raw []byte) error {
	frame, err := pipe.New(verb, head, raw)
	if err != nil {
		return err
	}
	return frame.Write(out)
}
