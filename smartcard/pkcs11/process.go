package pkcs11

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pipe"
)

// How a child process can fail.
var (
	errNotLoaded = errors.New("the module cannot be used")
	errCrashed   = errors.New("the module's process ended")
	errHung      = errors.New("the module did not answer in time, so its process was killed")
)

// command says how to start a child.
type command struct {
	args    []string // the program and its arguments, the module's path last
	env     []string
	start   time.Duration // for loading the module
	perCall time.Duration // for any step that waits for no person
}

// process is a running child. One goroutine at a time may call it; kill may be called by any.
type process struct {
	cmd    *exec.Cmd
	in     *os.File
	out    *os.File
	frames *bufio.Reader
	module string // the library's description of itself
	limit  time.Duration
	ended  chan struct{} // closed when the process has been waited for
}

// run starts a child and waits until it has loaded the module.
func (c command) run(ctx context.Context) (*process, error) {
	childIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer childIn.Close()
	out, childOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	defer childOut.Close()

	// Not the caller's context: the child outlives the job that started it.
	cmd := exec.Command(c.args[0], c.args[1:]...) //nolint:gosec,noctx // //nolint:gosec,noctx // this program itself
	cmd.Env, cmd.Stdin, cmd.Stdout = c.env, childIn, childOut
	cmd.SysProcAttr = apart()
	p := &process{cmd: cmd, in: in, out: out, frames: bufio.NewReaderSize(out, 4<<10), limit: c.perCall, ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, in.Close(), out.Close())
	}
	go func() {
		_ = cmd.Wait() // ProcessState tells how it ended
		close(p.ended)
	}()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	greeting, err := p.greet(c.start)
	if err != nil {
		p.kill()
		if told := (&pipe.Failure{}); errors.As(err, &told) {
			err = fmt.Errorf("%w: %s", errNotLoaded, told.Text)
		}
		return nil, err
	}
	p.module = greeting.Module
	return p, nil
}

func (p *process) greet(limit time.Duration) (pipe.Greeting, error) {
	var greeting pipe.Greeting
	frame, err := p.receive(time.Now().Add(limit))
	if err != nil {
		return greeting, err
	}
	if frame.Verb != pipe.Hello {
		return greeting, p.unexpected(frame)
	}
	if err := frame.Head(&greeting); err != nil {
		return greeting, err
	}
	if greeting.Version != pipe.Version {
		return greeting, errors.New("this program's file was replaced by another version: restart the program")
	}
	return greeting, nil
}

// call sends one request and waits for its reply, which must have the verb want; the reply's head is decoded into
// answer unless nil. A *pipe.Failure is the child's own report; after any other error the child has been killed.
func (p *process) call(limit time.Duration, request *pipe.Frame, want pipe.Verb, answer any) error {
	if err := p.send(limit, request); err != nil {
		return err
	}
	_, err := p.reply(limit, want, answer)
	return err
}

// send sends a request without waiting for the reply. Before anything else is sent, reply must read it; only one more
// request of the same kind may be sent first. After an error the child has been killed.
func (p *process) send(limit time.Duration, request *pipe.Frame) error {
	err := p.in.SetWriteDeadline(time.Now().Add(limit))
	if err == nil {
		err = request.Write(p.in)
	}
	if err != nil {
		return p.postMortem(broken(err))
	}
	return nil
}

// reply waits for the reply to the oldest open request; its errors are those of call.
func (p *process) reply(limit time.Duration, want pipe.Verb, answer any) (raw []byte, err error) {
	defer func() {
		var told *pipe.Failure
		if err != nil && !errors.As(err, &told) {
			err = p.postMortem(err)
		}
	}()
	reply, err := p.receive(time.Now().Add(limit))
	if err != nil {
		return nil, err
	}
	if reply.Verb != want {
		return nil, p.unexpected(reply)
	}
	if answer != nil {
		if err := reply.Head(answer); err != nil {
			return nil, err
		}
	}
	return reply.Raw, nil
}

// postMortem kills a process that cannot be used any more, and says how it ended if it ended by itself.
func (p *process) postMortem(err error) error {
	if errors.Is(err, errCrashed) {
		select {
		case <-p.ended: // its pipes close a moment before it ends
		case <-time.After(time.Second):
		}
	}
	p.kill()
	if errors.Is(err, errCrashed) {
		return fmt.Errorf("%w (%s)", errCrashed, p.cmd.ProcessState)
	}
	return err
}

func (p *process) receive(deadline time.Time) (*pipe.Frame, error) {
	if err := p.out.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	frame, err := pipe.Read(p.frames)
	if err != nil {
		return nil, broken(err)
	}
	return frame, nil
}

// unexpected returns the failure in a reply, or an error for a reply that makes no sense.
func (p *process) unexpected(reply *pipe.Frame) error {
	if reply.Verb == pipe.Failed {
		told := &pipe.Failure{}
		if err := reply.Head(told); err != nil {
			return err
		}
		return told
	}
	return fmt.Errorf("the module's process answered with verb %d", reply.Verb)
}

// broken returns why nothing arrived through the pipe.
func broken(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errHung
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, os.ErrClosed) || isBrokenPipe(err):
		return errCrashed
	}
	return err
}

// alive reports whether the process is still running.
func (p *process) alive() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill kills the process and waits for it.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
	_ = p.in.Close()
	_ = p.out.Close()
}
