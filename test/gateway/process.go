package gateway

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// grace is how long a process may take to end after SIGTERM: requests, smartcard jobs and what they keep at the end have 35
// seconds in all, and the machine may be busy.
const grace = 90 * time.Second

// Process is a program that a test started, with everything it prints. It is the leader of a process group
// of its own, which is signalled as one (`go run` does not pass signals on).
type Process struct {
	t     testing.TB
	cmd   *exec.Cmd
	out   *output
	ended chan struct{} // closed when it has been waited for
}

// Launch starts a program and sees to it that it is gone when the test ends. What it printed is shown when
// the test failed.
func Launch(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, cmd: cmd, out: &output{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.out, p.out
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.WaitDelay = 5 * time.Second // a grandchild may hold the pipe open
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %s: %v", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is told by ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.Stop()
		if t.Failed() {
			t.Logf("--- %s printed:\n%s", cmd.Path, p.Output())
		}
	})
	return p
}

// Running says whether the process is still there.
func (p *Process) Running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Wait waits until the process has ended by itself, and returns its exit code.
func (p *Process) Wait(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.Fatalf("%s has not ended within %s", p.cmd.Path, limit)
		return -1
	}
}

// Output is everything printed so far.
func (p *Process) Output() string { return p.out.String() }

// Stop asks the process to end (SIGTERM) and waits for it. Not ending in time is a failure.
func (p *Process) Stop() {
	p.t.Helper()
	if !p.end(syscall.SIGTERM) {
		p.end(syscall.SIGKILL)
		p.t.Errorf("%s did not end within %s of SIGTERM", p.cmd.Path, grace)
	}
}

// Kill ends the process at once (SIGKILL), as a crash would.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

func (p *Process) end(signal syscall.Signal) bool {
	if p.Running() {
		_ = syscall.Kill(-p.cmd.Process.Pid, signal) // it may have ended by itself meanwhile
	}
	select {
	case <-p.ended:
		return true
	case <-time.After(grace):
		return false
	}
}

// Await waits until ready says so. It fails the test when the process ends before, or the time is over.
func (p *Process) Await(what string, limit time.Duration, ready func() error) {
	p.t.Helper()
	var err error
	if !Eventually(limit, func() bool {
		if !p.Running() {
			p.t.Fatalf("%s ended (%s) before it was ready: %s", p.cmd.Path, p.cmd.ProcessState, what)
		}
		err = ready()
		return err == nil
	}) {
		p.t.Fatalf("waited %s for %s: %v", limit, what, err)
	}
}

// Eventually asks again and again, every 20 ms, until it is told yes or the time is over.
func Eventually(limit time.Duration, done func() bool) bool {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if done() {
			return true
		}
		select {
		case <-deadline.C:
			return done()
		case <-tick.C:
		}
	}
}

// Run runs a program to its end and returns what it printed; its failing is an error that tells so.
func Run(input []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("%s %s: %w\n%s%s", name, strings.Join(args, " "), err, &stderr, out)
	}
	return out, nil
}

// output collects what a process prints, from several goroutines.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
