package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// loadCommand makes this program the load generator, which reads a load and prints an outcome, in JSON.
const loadCommand = "generate-load"

// load is what is sent: each request of a part of the pool once.
type load struct {
	Addr    string
	Path    string
	Headers string // more lines of each request's header
	Pool    string
	From    int
	Count   int
	Clients int // connections; each has one request under way at a time
	Rate    int // requests a second, whether or not those before were answered; 0: as soon as a client is free
}

// outcome is what came of it. An answer other than 200 is a failure.
type outcome struct {
	Seconds       float64
	P50, P99, Max time.Duration // from when a request was due to its whole answer
	Last          string        // body of an answer
}

// send runs the load generator in a process of its own.
func (l load) send(ctx context.Context) (outcome, error) {
	self, err := os.Executable()
	if err != nil {
		return outcome{}, err
	}
	input, err := json.Marshal(l)
	if err != nil {
		return outcome{}, err
	}
	command := exec.CommandContext(ctx, self, loadCommand)
	command.Stdin, command.Stderr = bytes.NewReader(input), os.Stderr
	printed, err := command.Output()
	if err != nil {
		return outcome{}, fmt.Errorf("the load generator: %w", err)
	}
	var came outcome
	return came, json.Unmarshal(printed, &came)
}

// generateLoad is the load generator's main.
func generateLoad(in io.Reader, out io.Writer) error {
	var l load
	if err := json.NewDecoder(in).Decode(&l); err != nil {
		return err
	}
	bodies, err := readPool(l.Pool, l.From, l.Count)
	if err != nil {
		return err
	}
	g := &generator{load: l, requests: make([][]byte, l.Count), took: make([]time.Duration, l.Count)}
	for i, body := range bodies {
		g.requests[i] = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n%sContent-Length: %d\r\n\r\n%s", l.Path, l.Headers, len(body), body)
	}
	runtime.GC() // not while it sends
	came, err := g.run()
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(came)
}

// generator does as little as can be for each request, since it shares the cores with what it measures.
type generator struct {
	load
	requests [][]byte
	took     []time.Duration
	next     atomic.Int64
	started  time.Time
	last     atomic.Pointer[string]
	failed   atomic.Pointer[error]
}

func (g *generator) run() (outcome, error) {
	var connections []*connection
	defer func() {
		for _, c := range connections {
			c.Close()
		}
	}()
	for range g.Clients {
		dialled, err := net.Dial("tcp", g.Addr) //nolint:noctx // loopback
		if err != nil {
			return outcome{}, err
		}
		_ = dialled.SetDeadline(time.Now().Add(5 * time.Minute))
		connections = append(connections, &connection{Conn: dialled, reader: bufio.NewReaderSize(dialled, 4096)})
	}
	due := make(chan int, g.Count)
	var all sync.WaitGroup
	g.started = time.Now()
	for _, c := range connections {
		all.Go(func() {
			if g.Rate > 0 {
				g.whenDue(c, due)
			} else {
				g.whenFree(c)
			}
		})
	}
	if g.Rate > 0 {
		g.schedule(due)
	}
	all.Wait()
	if failed := g.failed.Load(); failed != nil {
		return outcome{}, *failed
	}
	came := outcome{Seconds: time.Since(g.started).Seconds(), Last: *g.last.Load()}
	slices.Sort(g.took)
	came.P50, came.P99, came.Max = g.took[g.Count/2], g.took[g.Count*99/100], g.took[g.Count-1]
	return came, nil
}

func (g *generator) whenFree(c *connection) {
	for i := int(g.next.Add(1)) - 1; i < g.Count && g.failed.Load() == nil; i = int(g.next.Add(1)) - 1 {
		g.ask(c, i, time.Now())
	}
}

func (g *generator) whenDue(c *connection, due <-chan int) {
	for i := range due {
		if g.failed.Load() == nil {
			g.ask(c, i, g.dueAt(i))
		}
	}
}

func (g *generator) dueAt(i int) time.Time {
	return g.started.Add(time.Duration(i) * time.Second / time.Duration(g.Rate))
}

// schedule hands out each request when it is due. Go's own timers are up to a millisecond late.
func (g *generator) schedule(due chan<- int) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for i := range g.Count {
		for wait := time.Until(g.dueAt(i)); wait > 0; wait = time.Until(g.dueAt(i)) {
			pause := unix.NsecToTimespec(int64(wait))
			_ = unix.Nanosleep(&pause, nil) // a signal only means another round
		}
		due <- i
	}
	close(due)
}

func (g *generator) ask(c *connection, i int, from time.Time) {
	body, err := c.exchange(g.requests[i])
	g.took[i] = time.Since(from)
	if err != nil {
		g.failed.CompareAndSwap(nil, &err)
		return
	}
	if i == g.Count-1 {
		text := string(body)
		g.last.Store(&text)
	}
}

// connection is a plain HTTP/1.1 connection.
type connection struct {
	net.Conn
	reader *bufio.Reader
	body   []byte
}

// exchange sends a request and reads its answer, which must be a 200 with a Content-Length.
func (c *connection) exchange(request []byte) ([]byte, error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	status, err := c.reader.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	ok := bytes.HasPrefix(status, []byte("HTTP/1.1 200"))
	said := string(bytes.TrimSpace(status[:min(len(status), 40)]))
	length := -1
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return nil, err
			}
		}
	}
	if length < 0 {
		return nil, errors.New("an answer without Content-Length")
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	if _, err := io.ReadFull(c.reader, c.body); err != nil {
		return nil, err
	}
	if !ok {
		return nil, fmt.Errorf("%s: %s", said, c.body)
	}
	return c.body, nil
}
