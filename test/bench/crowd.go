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

	"golang.org/x/time/rate"
)

const (
	crowdCommand = "be-a-crowd" // makes this program the others that a well-behaved client shares the gateway with

	slowOnes   = 2000 // connections, half of them in the middle of their headers, half in the middle of a body
	halfSent   = 2000 // requests that are half sent, and begun again whenever the gateway closes the connection
	addresses  = 64   // that the half-sent requests come from
	againRate  = 200  // half-sent requests that are begun again per second, at most
	strangers  = 8    // connections that post garbage as fast as they are refused
	politeRate = 300  // the well-behaved client's rate
)

// The crowds.
var (
	calm    = subject{name: "alone"}
	slow    = subject{name: "beside 2,000 slow connections"}
	half    = subject{name: "beside 2,000 half-sent requests"}
	garbage = subject{name: "beside strangers"}
)

// crowd measures what a well-behaved client notices of others: p99 alone, beside slow connections that are held open,
// beside half-sent requests that are begun again, and beside strangers who post garbage at full speed. The crowd is a process of its own, of low priority, since it
// would bring its own processors.
func (b *bench) crowd(ctx context.Context) (err error) {
	all := []subject{calm, slow, half, garbage}
	fmt.Fprintf(b.out, "crowd: %d requests a second of one payload, %d rounds of %d s\n", politeRate, b.rounds, b.seconds)
	l := load{Count: politeRate * b.seconds, Clients: clients, Rate: politeRate}
	if err := b.pool.ensure(warmUp + len(all)*b.rounds*l.Count); err != nil {
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
		for _, s := range all {
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
	b.table(all, came)
	b.ratio(came, "p99", p99, slow, calm, "< 2")
	b.ratio(came, "p99", p99, half, calm, "< 2")
	b.ratio(came, "p99", p99, garbage, calm, "< 2")
	return nil
}

// invite starts the crowd of a subject, if it has one, and returns how to be rid of it.
func (b *bench) invite(ctx context.Context, s subject, addr string) (leave func() error, err error) {
	if s.name == calm.name {
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
	guests, err := guestsOf(name, addr)
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

// guest stays until over is closed.
type guest func(over <-chan struct{})

const (
	head    = "POST /signaturerequest HTTP/1.1\r\nHost: localhost\r\n"
	rest    = "Content-Type: text/plain\r\nContent-Length: 2000000\r\n\r\n"
	someRaw = "eyJhbGci"
)

// guestsOf returns the guests of a crowd, each of which has begun.
func guestsOf(name, addr string) (guests []guest, err error) {
	add := func(n int, begin string, each func(net.Conn, <-chan struct{})) {
		for i := 0; i < n && err == nil; i++ {
			var conn net.Conn
			if conn, err = beginAt(addr, "", begin); err == nil {
				guests = append(guests, func(over <-chan struct{}) { defer conn.Close(); each(conn, over) })
			}
		}
	}
	switch name {
	case garbage.name:
		add(strangers, "", postGarbage)
	case slow.name:
		add(slowOnes/2, head, drip)
		add(slowOnes/2, head+rest, drip)
	case half.name:
		again := rate.NewLimiter(againRate, againRate)
		for i := range halfSent {
			from := fmt.Sprintf("127.0.1.%d", i%addresses+1)
			conn, failed := beginAt(addr, from, head+rest+someRaw)
			if failed != nil {
				return nil, failed
			}
			guests = append(guests, func(over <-chan struct{}) { beginAgain(conn, addr, from, again, over) })
		}
	default:
		err = fmt.Errorf("unknown crowd %q", name)
	}
	return guests, err
}

// beginAt connects from an address, or from any, and sends the beginning of a request.
func beginAt(addr, from, begin string) (net.Conn, error) {
	var dialer net.Dialer
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	conn, err := dialer.Dial("tcp", addr) //nolint:noctx // loopback
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, begin); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// beginAgain waits until the gateway closes a half-sent request, and begins another.
func beginAgain(conn net.Conn, addr, from string, again *rate.Limiter, over <-chan struct{}) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-over; cancel() }()
	for {
		closing := context.AfterFunc(ctx, func() { conn.Close() })
		_, _ = io.Copy(io.Discard, conn) // until it is closed
		closing()
		conn.Close()
		if again.Wait(ctx) != nil {
			return
		}
		next, err := beginAt(addr, from, head+rest+someRaw)
		if err != nil {
			return // the gateway has gone
		}
		conn = next
	}
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
