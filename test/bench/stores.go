package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/seed-dd2befc3/countersign/store/postgres/postgrestest"
)

// onPostgres is a gateway on a schema of the database.
func onPostgres(name string, database *postgrestest.Server, schema string) subject {
	store := fmt.Sprintf("postgres %s {\n\t\t\tschema %s\n\t\t}", database.DSN(), schema)
	return subject{name: name, start: startGateway(gatewayBinary, store), path: "/signaturerequest"}
}

// stores compares signing requests on the embedded store, on PostgreSQL, and on PostgreSQL with two gateways that share
// the load; all durable before the 200, all on this machine's cores and its disk. Then it times how soon a gateway that
// was killed is ready again.
func (b *bench) stores(ctx context.Context) (err error) {
	database, end, err := startDatabase()
	if err != nil {
		return err
	}
	defer end()
	if err := b.storeRates(ctx, database); err != nil {
		return err
	}
	return b.recovery(ctx, database)
}

// group is a subject with as many gateways as it has.
type group struct {
	subject
	running []*server
}

func (b *bench) storeRates(ctx context.Context, database *postgrestest.Server) (err error) {
	fmt.Fprintf(b.out, "store: %d rounds of %d distinct requests of one payload, %d clients in all, closed loop\n", b.rounds, b.requests, clients)
	if err := b.pool.ensure(warmUp + b.rounds*b.requests); err != nil {
		return err
	}
	one := onPostgres("PostgreSQL, one gateway", database, "one")
	two := onPostgres("PostgreSQL, two gateways", database, "two")
	groups := []*group{{subject: onBadger}, {subject: one}, {subject: two}}
	defer func() {
		for _, g := range groups {
			for _, s := range g.running {
				err = errors.Join(err, s.stop())
			}
		}
	}()
	for i, gateways := range []int{1, 1, 2} {
		g := groups[i]
		for range gateways {
			dir, err := os.MkdirTemp(b.dir, "server-") // goes with b.dir
			if err != nil {
				return err
			}
			s, err := g.start(ctx, b, dir)
			if err != nil {
				return err
			}
			g.running = append(g.running, s)
		}
		if _, err := b.share(ctx, g, load{Count: warmUp}); err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
	}
	came := results{}
	for round := range b.rounds {
		for _, g := range groups {
			seen, err := b.share(ctx, g, load{From: warmUp + round*b.requests, Count: b.requests})
			if err != nil {
				return fmt.Errorf("%s: %w", g.name, err)
			}
			came[g.name] = append(came[g.name], seen)
		}
	}
	b.table([]subject{onBadger, one, two}, came)
	b.ratio(came, "rate", throughput, one, onBadger, "none")
	b.ratio(came, "rate", throughput, two, one, "none; they share the cores of this machine")
	b.ratio(came, "CPU per request of the gateways", perRequest, one, onBadger, "none; PostgreSQL's own is not in it")
	return nil
}

// share puts all gateways of a group under a part of the load each, at one time.
func (b *bench) share(ctx context.Context, g *group, l load) (measurement, error) {
	seen := make([]measurement, len(g.running))
	errs := make([]error, len(g.running))
	var all sync.WaitGroup
	for i, s := range g.running {
		part := load{From: l.From + i*l.Count/len(g.running), Count: l.Count / len(g.running), Clients: clients / len(g.running)}
		all.Go(func() { seen[i], errs[i] = b.sendTo(ctx, s, g.subject, part) })
	}
	all.Wait()
	whole := seen[0]
	for _, m := range seen[1:] { // of the percentiles, the worse
		whole.requests += m.requests
		whole.cpu += m.cpu
		whole.Seconds = max(whole.Seconds, m.Seconds)
		whole.P50, whole.P99, whole.Max = max(whole.P50, m.P50), max(whole.P99, m.P99), max(whole.Max, m.Max)
	}
	return whole, errors.Join(errs...)
}

// owner is what a database server of a benchmark belongs to.
type owner struct{ ends []func() }

func (*owner) Helper()                           {}
func (*owner) Failed() bool                      { return false }
func (*owner) Logf(format string, args ...any)   { fmt.Fprintf(os.Stderr, format+"\n", args...) }
func (*owner) Error(args ...any)                 { fmt.Fprintln(os.Stderr, args...) }
func (*owner) Fatal(args ...any)                 { panic(fatal(fmt.Sprint(args...))) }
func (*owner) Fatalf(format string, args ...any) { panic(fatal(fmt.Sprintf(format, args...))) }
func (o *owner) Cleanup(end func())              { o.ends = append(o.ends, end) }

type fatal string

// startDatabase starts a server that waits for the disk, as one of users does.
func startDatabase() (server *postgrestest.Server, end func(), err error) {
	o := &owner{}
	end = func() {
		for _, e := range o.ends {
			e()
		}
	}
	defer func() {
		if said, is := recover().(fatal); is {
			end()
			err = errors.New(string(said))
		}
	}()
	return postgrestest.Start(o, "fsync=on"), end, nil
}
