package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	settled  = 10 * time.Second      // after the load, for what runs in the background
	sampling = 50 * time.Millisecond // of memory under load
)

// memory fills the durable store with sessions, looks at the memory that no file backs, and times the next starts: one
// after a crash, one after an orderly end.
func (b *bench) memory(ctx context.Context) (err error) {
	fmt.Fprintf(b.out, "memory: %d live sessions on the store badger\n", b.sessions)
	if err := b.pool.ensure(b.sessions); err != nil {
		return err
	}
	dir := filepath.Join(b.dir, "memory")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	running, took, err := b.startTimed(ctx, onBadger, dir, "")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, running.stop(), os.RemoveAll(dir)) }()
	fmt.Fprintf(b.out, "  first start, empty: ready in %.2f s\n", took.Seconds())
	if err := b.say(running, "RssAnon before"); err != nil {
		return err
	}
	peak := running.watchMemory()
	seen, err := b.sendTo(ctx, running, onBadger, load{Count: b.sessions, Clients: clients})
	fmt.Fprintf(b.out, "  RssAnon at its highest, under load: %s (target: ≤ 200 MB)\n", megabytes(peak()))
	if err != nil {
		return err
	}
	if b.profile != "" {
		if err := running.fetch(ctx, "/debug/pprof/heap", filepath.Join(b.profile, "heap.pprof")); err != nil {
			return err
		}
	}
	select {
	case <-time.After(settled):
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := b.say(running, "RssAnon with all of them"); err != nil {
		return err
	}
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(seen.Last), &answer); err != nil {
		return err
	}
	for _, end := range []struct {
		name string
		how  syscall.Signal
	}{{"a crash", syscall.SIGKILL}, {"an orderly end", syscall.SIGTERM}} {
		if err := running.end(end.how); err != nil {
			return err
		}
		if running, took, err = b.startTimed(ctx, onBadger, dir, answer.Token); err != nil {
			return err
		}
		fmt.Fprintf(b.out, "  start after %s: ready in %.2f s (target: < 1 s)\n", end.name, took.Seconds())
		if err := b.say(running, "RssAnon after it"); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) say(s *server, what string) error {
	bytes, err := s.anonymous()
	fmt.Fprintf(b.out, "  %s: %s\n", what, megabytes(bytes))
	return err
}

func megabytes(bytes int) string { return fmt.Sprintf("%.0f MB", float64(bytes)/1e6) }

// startTimed starts the gateway and waits until it knows the session of a token, which is yet to be signed; without
// one, until it would.
func (b *bench) startTimed(ctx context.Context, of subject, dir, token string) (*server, time.Duration, error) {
	start := time.Now()
	s, err := of.start(ctx, b, dir)
	if err != nil {
		return nil, 0, err
	}
	wanted := http.StatusBadRequest
	if token == "" {
		wanted, token = http.StatusNotFound, "a1b2c3d4-0000-4000-8000-000000000000"
	}
	err = s.await(func() error {
		status, err := get(ctx, "http://"+s.addr()+"/signatureresponse/"+token)
		if status == wanted {
			return nil
		}
		return errors.Join(err, fmt.Errorf("status %d", status))
	})
	if err != nil {
		err = errors.Join(err, s.stop())
	}
	return s, time.Since(start), err
}

func get(ctx context.Context, url string) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// watchMemory looks at the anonymous memory until the function it returns is called, which tells the most it saw.
func (s *server) watchMemory() (peak func() int) {
	stop, done := make(chan struct{}), make(chan int)
	go func() {
		tick := time.NewTicker(sampling)
		defer tick.Stop()
		most := 0
		for {
			if now, err := s.anonymous(); err == nil {
				most = max(most, now)
			}
			select {
			case <-tick.C:
			case <-stop:
				done <- most
				return
			}
		}
	}()
	return func() int {
		close(stop)
		return <-done
	}
}
