package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// diaryCommand makes this program a server that does with a request nothing but what the disk takes: it appends the
// body to a file, and answers when that is synced. What came in meanwhile shares the next sync. It tells what of a
// durable store's times is the disk's.
const diaryCommand = "keep-diary"

// diary is the subject.
var diary = subject{name: "a file, synced", start: startDiary, path: "/"}

func startDiary(ctx context.Context, _ *bench, dir string) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return launch(ctx, dir, port, self, diaryCommand, loopback(port), filepath.Join(dir, "diary"))
}

// entry is a body on its way to the file.
type entry struct {
	body []byte
	done chan error
}

// keepDiary is the server's main. It ends with the process.
func keepDiary(addr, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	entries := make(chan entry, 4*clients)
	go writeDiary(file, entries)
	listener, err := net.Listen("tcp", addr) //nolint:noctx // loopback
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			e := entry{body, make(chan error, 1)}
			entries <- e
			err = <-e.done
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		io.WriteString(w, `{"token":"a1b2c3d4-0000-4000-8000-000000000000"}`)
	})}
	return server.Serve(listener)
}

func writeDiary(file *os.File, entries <-chan entry) {
	for first := range entries {
		group := []entry{first}
		for len(entries) > 0 {
			group = append(group, <-entries)
		}
		var err error
		for _, e := range group {
			_, failed := file.Write(e.body)
			err = errors.Join(err, failed)
		}
		err = errors.Join(err, unix.Fdatasync(int(file.Fd())))
		for _, e := range group {
			e.done <- err
		}
	}
}
