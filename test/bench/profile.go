package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

func (s *server) hasAdmin() bool {
	_, err := os.Stat(filepath.Join(s.dir, "admin.sock"))
	return err == nil
}

// profile begins a CPU profile by Caddy's admin endpoint, and returns what waits for it.
func (s *server) profile(ctx context.Context, file string, length time.Duration) (wait func() error) {
	done := make(chan error, 1)
	go func() {
		done <- s.fetch(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(length.Seconds())), file)
	}()
	return func() error { return <-done }
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
