package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is requests to be sent, each once, over some connections of one HTTP/1.1 request at a time.
type load struct {
	address  string
	requests [][]byte
	clients  int
	rate     int // requests a second, whether or not those before were answered; 0: as soon as a connection is free
}

// outcome is what came of a load.
type outcome struct {
	perSecond float64
	p99       time.Duration // from when a request was due to its whole answer
}

// send sends the load. An answer other than 200 is an error.
func (l load) send() (outcome, error) {
	took := make([]time.Duration, len(l.requests))
	var next atomic.Int64
	var failed atomic.Pointer[error]
	fail := func(err error) { failed.CompareAndSwap(nil, &err) }
	started := time.Now()
	var all sync.WaitGroup
	for range l.clients {
		all.Go(func() {
			conn, err := net.Dial("tcp", l.address)
			if err != nil {
				fail(err)
				return
			}
			defer conn.Close()
			reader := bufio.NewReader(conn)
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(l.requests) {
					return
				}
				due := time.Now()
				if l.rate > 0 {
					due = started.Add(time.Duration(i) * time.Second / time.Duration(l.rate))
					<-time.After(time.Until(due))
				}
				if err := exchange(conn, reader, l.requests[i]); err != nil {
					fail(err)
				}
				took[i] = time.Since(due)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return outcome{}, *err
	}
	elapsed := time.Since(started)
	slices.Sort(took)
	return outcome{float64(len(took)) / elapsed.Seconds(), took[len(took)*99/100]}, nil
}

// exchange sends a request and reads its answer, with a Content-Length or in chunks, to its end.
func exchange(conn net.Conn, reader *bufio.Reader, request []byte) error {
	_ = conn.SetDeadline(time.Now().Add(time.Minute)) // a connection that is broken says so when it is used
	if _, err := conn.Write(request); err != nil {
		return err
	}
	status, err := reader.ReadString('\n')
	if err != nil {
		return err
	}
	length := -1
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		const name = "content-length:"
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(name):]))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without Content-Length")
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(reader, body); err != nil {
		return err
	}
	if !bytes.HasPrefix([]byte(status), []byte("HTTP/1.1 200")) {
		return fmt.Errorf("%.40q: %.300s", status, body)
	}
	return nil
}
