package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

func (s *server) hasAdmin() bool {
	_, err := os.Stat(filepath.Join(s.dir, "admin.sock"))
	return err == nil
}

// profiled begins a CPU profile of a subject, if it is one that has them and they were asked for, and returns what
// waits for its end.
func (b *bench) profiled(ctx context.Context, running *server, s subject) (wait func()) {
	if b.profile == "" || !running.hasAdmin() {
		return func() {}
	}
	file := filepath.Join(b.profile, strings.ReplaceAll(s.name, " ", "-")+".pprof")
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := running.fetch(ctx, "/debug/pprof/profile?seconds=10", file); err != nil {
			fmt.Fprintln(b.out, "  no profile:", err)
		}
	}()
	return func() { <-done }
}

// fetch keeps what the admin endpoint answers to a GET.
func (s *server) fetch(ctx context.Context, path, file string) error {
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(s.dir, "admin.sock"))
		},
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+path, http.NoBody)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = io.Copy(out, response.Body)
	return err
}
