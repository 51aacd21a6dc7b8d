package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	crowdCommand = "be-a-crowd" // makes this program the others that a well-behaved client shares the gateway with

	slowOnes   = 2000 // connections, half of them in the middle of their headers, half in the middle of a body
	strangers  = 8    // connections that post garbage as fast as they are refused
	politeRate = 300  // the well-behaved client's rate
)

// crowd measures what a well-behaved client notices of others: p99 alone, beside slow connections that are held open,
// and beside strangers who post garbage at full speed. The crowd is a process of its own, of low priority, since it
// would bring its own processors.
func (b *bench) crowd(ctx context.Context) (err error) {
	calm, slow, garbage := subject{name: "alone"}, subject{name: "beside 2,000 slow connections"}, subject{name: "beside strangers"}
	fmt.Fprintf(b.out, "crowd: %d requests a second of one payload, %d rounds of %d s\n", politeRate, b.rounds, b.seconds)
	l := load{Count: politeRate * b.seconds, Clients: clients, Rate: politeRate}
	if err := b.pool.ensure(warmUp + 3*b.rounds*l.Count); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(b.dir, "server-") // goes with b.dir
	if err != nil {
		return err
	}
	running, err := onMemory.start(ctx, b, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	if _, err := b.sendTo(ctx, running, onMemory, load{Count: warmUp, Clients: clients}); err != nil {
		return err
	}
	came := results{}
	l.From = warmUp
	for range b.rounds {
		for _, s := range []subject{calm, slow, garbage} {
			leave, err := b.invite(ctx, s, running.addr())
			if err != nil {
				return err
			}
			seen, err := b.sendTo(ctx, running, onMemory, l)
			if err := errors.Join(err, leave()); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			came[s.name] = append(came[s.name], seen)
			l.From += l.Count
		}
	}
	b.table([]subject{calm, slow, garbage}, came)
	b.ratio(came, "p99", p99, slow, calm, "< 2")
	b.ratio(came, "p99", p99, garbage, calm, "< 2")
	return nil
}

// invite starts the crowd of a subject, if it has one, and returns how to be rid of it.
func (b *bench) invite(ctx context.Context, s subject, addr string) (leave func() error, err error) {
	if s.name == "alone" {
		return func() error { return nil }, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, crowdCommand, s.name, addr)
	command.Stderr = os.Stderr
	stop, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	said, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	if _, err := bufio.NewReader(said).ReadString('\n'); err != nil { // all are there
		return nil, errors.Join(err, command.Wait())
	}
	return func() error { return errors.Join(stop.Close(), command.Wait()) }, nil
}

// beACrowd is the crowd's main. It leaves when its standard input ends.
func beACrowd(name, addr string) error {
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19); err != nil {
		return err
	}
	var guests []func(<-chan struct{})
	add := func(n int, begin string, each func(net.Conn, <-chan struct{})) error {
		for range n {
			conn, err := net.Dial("tcp", addr) //nolint:noctx // loopback
			if err != nil {
				return err
			}
			if _, err := io.WriteString(conn, begin); err != nil {
				return err
			}
			guests = append(guests, func(over <-chan struct{}) { defer conn.Close(); each(conn, over) })
		}
		return nil
	}
	const head = "POST /signaturerequest HTTP/1.1\r\nHost: localhost\r\n"
	var err error
	if name == "beside strangers" {
		err = add(strangers, "", func(conn net.Conn, over <-chan struct{}) { postGarbage(conn, over) })
	} else {
		err = errors.Join(
			add(slowOnes/2, head, drip),
			add(slowOnes/2, head+"Content-Type: text/plain\r\nContent-Length: 2000000\r\n\r\n", drip))
	}
	if err != nil {
		return err
	}
	over := make(chan struct{})
	var all sync.WaitGroup
	for _, guest := range guests {
		all.Go(func() { guest(over) })
	}
	fmt.Fprintln(os.Stdout, "ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	close(over)
	all.Wait()
	return nil
}

// drip sends a byte every few seconds.
func drip(conn net.Conn, over <-chan struct{}) {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case <-tick.C:
			if _, err := io.WriteString(conn, "a"); err != nil {
				return // it was dropped, as it should be
			}
		}
	}
}

// postGarbage posts what looks like a JWT of somebody whom nobody knows.
func postGarbage(conn net.Conn, over <-chan struct{}) {
	const jwt = "eyJhbGciOiJSUzUxMiIsInR5cCI6IkpXVCIsImtpZCI6IngifQ.eyJpc3MiOiJub2JvZHkifQ.AAAA"
	request := fmt.Sprintf("POST /signaturerequest HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(jwt), jwt)
	c := &connection{Conn: conn, reader: bufio.NewReaderSize(conn, 4096)}
	for {
		select {
		case <-over:
			return
		default:
			if _, err := c.exchange([]byte(request)); err == nil {
				return // accepted: the figures would be of something else
			}
		}
	}
}
