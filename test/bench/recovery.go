package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/badger"
	"github.com/seed-dd2befc3/countersign/store/postgres"
	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

// recoveries is how often each start is timed.
const recoveries = 5

// recovery kills a gateway with more and more open sessions, and times from its next start until it knows a session of
// before. The sessions are copies of one that was really made, put into the store by a process that is killed too, so
// that the embedded store has to read what was not yet in its tables.
func (b *bench) recovery(ctx context.Context, database *postgrestest.Server) error {
	fmt.Fprintf(b.out, "store: from the start of a gateway that was killed until it knows its sessions, median of %d, in ms\n", recoveries)
	for _, sessions := range []int{1_000, 10_000, 100_000} {
		onDatabase := onPostgres("PostgreSQL", database, fmt.Sprintf("r%d", sessions))
		for _, s := range []subject{onBadger, onDatabase} {
			took, err := b.recover(ctx, s, sessions, database)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			fmt.Fprintf(b.out, "  %7d open sessions, %s: %.0f\n", sessions, s.name, median(took))
		}
	}
	return nil
}

func (b *bench) recover(ctx context.Context, s subject, sessions int, database *postgrestest.Server) (took []float64, err error) {
	dir, err := os.MkdirTemp(b.dir, "recovery-") // goes with b.dir
	if err != nil {
		return nil, err
	}
	running, _, err := b.startTimed(ctx, s, dir, "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, running.stop()) }()
	seen, err := b.sendTo(ctx, running, s, load{Count: 1, Clients: 1})
	if err != nil {
		return nil, err
	}
	var answer struct{ Token string }
	if err := json.Unmarshal([]byte(seen.Last), &answer); err != nil {
		return nil, err
	}
	for attempt := range recoveries {
		if err := running.end(syscall.SIGKILL); err != nil {
			return nil, err
		}
		if attempt == 0 {
			where := []string{"badger", filepath.Join(dir, "caddy", "countersign", "store")}
			if s.name != onBadger.name {
				where = []string{fmt.Sprintf("r%d", sessions), database.DSN()}
			}
			if err := fill(ctx, where[0], where[1], sessions); err != nil {
				return nil, err
			}
		}
		var t time.Duration
		if running, t, err = b.startTimed(ctx, s, dir, answer.Token); err != nil {
			return nil, err
		}
		took = append(took, milliseconds(t))
	}
	return took, nil
}

// fillCommand makes this program one that fills a store and then waits to be killed.
const fillCommand = "fill-store"

// fill has another process put copies of all that a store holds into it, and kills it.
func fill(ctx context.Context, schema, where string, copies int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.CommandContext(ctx, self, fillCommand, schema, where, strconv.Itoa(copies)) //nolint:gosec // this very program
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	filled := []byte("filled\n")
	said := make([]byte, len(filled))
	_, err = io.ReadFull(out, said)
	_ = command.Process.Kill() // it waits for that
	_ = command.Wait()
	if err != nil || !bytes.Equal(said, filled) {
		return fmt.Errorf("the store was not filled: %w", err)
	}
	return nil
}

// fillStore is the main of the process that fills.
func fillStore(schema, where, copies string) error {
	ctx, quiet := context.Background(), slog.New(slog.DiscardHandler)
	n, err := strconv.Atoi(copies)
	if err != nil {
		return err
	}
	var s interface {
		store.Store
		store.Dumper
	}
	if schema == "badger" {
		s, err = badger.Open(ctx, badger.Options{Dir: where, Logger: quiet})
	} else {
		s, err = postgres.Open(ctx, postgres.Options{DSN: where, Schema: schema, Logger: quiet, Wait: time.Minute})
	}
	if err != nil {
		return err
	}
	var originals []store.Record
	err = s.Dump(ctx, func(r store.Record) error {
		r.Value = bytes.Clone(r.Value)
		originals = append(originals, r)
		return nil
	})
	if err != nil {
		return err
	}
	var batch store.Batch
	for i := range n {
		for _, r := range originals {
			r.Key = fmt.Sprintf("%s/%d", r.Key, i)
			if len(batch.Then) == store.MaxOps || batch.Size()+r.Size() > store.MaxBatch {
				if err := s.Commit(ctx, batch); err != nil {
					return err
				}
				batch = store.Batch{}
			}
			batch.Then = append(batch.Then, store.Op{Put: &r})
		}
	}
	if err := s.Commit(ctx, batch); err != nil {
		return err
	}
	if _, err := io.WriteString(os.Stdout, "filled\n"); err != nil {
		return err
	}
	select {}
}
