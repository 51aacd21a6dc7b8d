package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is a program under test, in a directory of its own.
type server struct {
	command *exec.Cmd
	dir     string
	port    int
	ended   chan error
	log     *os.File
}

// subject is a kind of server that takes part in a comparison.
type subject struct {
	name  string
	start func(ctx context.Context, b *bench, dir string) (*server, error)
	path  string

	headers string // more lines of each request's header
}

const answersWithin = time.Minute

// launch starts a program, which is given its configuration as a file, and waits until its port takes connections.
func launch(ctx context.Context, dir string, port int, name string, args ...string) (*server, error) {
	s := &server{dir: dir, port: port, ended: make(chan error, 1)}
	var err error
	if s.log, err = os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return nil, err
	}
	if name, err = filepath.Abs(name); err != nil {
		return nil, err
	}
	s.command = exec.CommandContext(ctx, name, args...)
	s.command.Dir = dir
	s.command.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	s.command.Stdout, s.command.Stderr = s.log, s.log
	if err := s.command.Start(); err != nil {
		return nil, err
	}
	go func() { s.ended <- s.command.Wait() }()
	if err := s.await(func() error {
		conn, err := net.DialTimeout("tcp", s.addr(), time.Second)
		if err == nil {
			err = conn.Close()
		}
		return err
	}); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *server) addr() string { return loopback(s.port) }

// await asks every 2 ms until it is told yes.
func (s *server) await(ready func() error) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(answersWithin)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case ended := <-s.ended:
			s.ended <- ended
			said, _ := os.ReadFile(s.log.Name())
			return fmt.Errorf("%s ended (%w):\n%s", s.command.Path, ended, said[max(0, len(said)-2000):])
		case <-deadline:
			return fmt.Errorf("%s was not ready within %s: %w", s.command.Path, answersWithin, err)
		}
	}
}

// stop ends the server by SIGTERM and waits for it.
func (s *server) stop() error { return s.end(syscall.SIGTERM) }

func (s *server) end(how syscall.Signal) error {
	defer s.log.Close()
	_ = s.command.Process.Signal(how) // it may have ended by itself
	select {
	case <-s.ended:
		return nil
	case <-time.After(answersWithin):
		return errors.Join(fmt.Errorf("%s did not end", s.command.Path), s.command.Process.Kill())
	}
}

// cpu is the processor time that the server has used, in steps of 10 ms (proc_pid_stat(5): utime and stime).
func (s *server) cpu() (time.Duration, error) {
	text, err := os.ReadFile(s.proc("stat"))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:]) // the first is the third of the page
	user, err := strconv.Atoi(string(fields[11]))
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(string(fields[12]))
	const tick = 10 * time.Millisecond
	return time.Duration(user+system) * tick, err
}

// anonymous is the memory of the server that no file backs, in bytes.
func (s *server) anonymous() (int, error) {
	text, err := os.ReadFile(s.proc("status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, "RssAnon:"); found {
			kilobytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("no RssAnon in /proc")
}

func (s *server) proc(file string) string {
	return fmt.Sprintf("/proc/%d/%s", s.command.Process.Pid, file)
}

// freePort finds a loopback port below those that the system gives to outgoing connections.
func freePort() (int, error) {
	for range 1000 {
		port := 10000 + rand.IntN(22000)                   //nolint:gosec // any will do
		listener, err := net.Listen("tcp", loopback(port)) //nolint:noctx // closed at once
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, errors.New("no free port between 10000 and 32000")
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
