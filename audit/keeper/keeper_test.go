package keeper

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/store"
	"github.com/seed-dd2befc3/countersign/store/memory"
)

// A log that is not as the store remembers it is reported at the start and from then on, until an operator retires it.
func aLogThatIsNotAsRemembered(w *world) {
	foreign := w.gateway(w.TempDir(), "foreign")
	w.records(foreign, 1)
	w.stop(foreign)
	for n, row := range []struct {
		name string
		dir  func(whole, early string) string
		want Finding
	}{
		{"as it was", func(whole, _ string) string { return whole }, ""},
		{"moved elsewhere", func(whole, _ string) string { return w.copied(whole) }, ""},
		{"emptied", func(string, string) string { return w.TempDir() }, Gone},
		{"cut back", func(_, early string) string { return early }, Shorter},
		{"cut back, and gone on with", func(_, early string) string { return w.extended(early, 20) }, Another},
		{"exchanged", func(string, string) string { return w.copied(foreign.log.Dir) }, Another},
	} {
		w.clock.forward(time.Minute)
		node, dir := fmt.Sprintf("gw-%d", n), filepath.Join(w.TempDir(), "audit")
		k := w.gateway(dir, node)
		w.records(k, 3)
		early := w.copied(dir)
		w.records(k, 3)
		w.stop(k)
		w.clock.forward(time.Minute)
		dir = row.dir(dir, early)
		for _, when := range []string{"at the start", "after a restart"} {
			k = w.gateway(dir, node)
			w.records(k, 1)
			if got := missing(k, node); got != row.want {
				w.Errorf("%s, %s: got %q, want %q", row.name, when, got, row.want)
			}
			w.stop(k)
		}
		w.retired(dir, node, row.want)
	}
	if n := strings.Count(w.said.String(), `msg="the audit log is not as the store remembers it`); n != 4 {
		w.Errorf("got %d errors logged, want one for each of the four:\n%s", n, w.said.String())
	}
}

// extended returns a log to which somebody added entries elsewhere.
func (w *world) extended(dir string, records int) string {
	w.Helper()
	elsewhere := &world{T: w.T, store: memory.New(memory.Options{}), signer: w.signer, clock: w.clock}
	k := elsewhere.gateway(dir, "")
	elsewhere.records(k, records)
	w.stop(k)
	return dir
}

// retired retires what is missing: it is no longer reported, and both logs say why.
func (w *world) retired(dir, node string, what Finding) {
	w.Helper()
	k := w.gateway(dir, node)
	w.settle(k)
	err := k.Retire(w.Context(), node)
	if what == "" {
		if !errors.Is(err, ErrPresent) {
			w.Errorf("retiring a log that is as remembered: got %v, want ErrPresent", err)
		}
		w.stop(k)
		return
	}
	if err != nil {
		w.Error(err)
	}
	for range 2 {
		if got := missing(k, node); got != "" {
			w.Errorf("after retirement: got %s, want nothing missing", got)
		}
		w.records(k, 1)
	}
	w.stop(k)
	if text := kinds(w, dir); !strings.Contains(text, " retired") || strings.Count(text, " missing") != 1 {
		w.Errorf("got entries%s", text)
	}
}

// A log that comes back is no longer missing; the one begun meanwhile is.
func aLogThatIsBack(w *world) {
	dir, meanwhile := w.TempDir(), w.TempDir()
	for n, row := range []struct {
		dir  string
		want Finding
	}{{dir, ""}, {meanwhile, Gone}, {dir, Another}, {meanwhile, Another}} {
		w.clock.forward(time.Minute)
		k := w.gateway(row.dir, "gw-1")
		w.records(k, 1)
		if got := missing(k, "gw-1"); got != row.want || len(k.Status().Missing) > 1 {
			w.Errorf("start %d: got %v, want %q", n, k.Status().Missing, row.want)
		}
		w.stop(k)
	}
}

// kinds returns the kinds of the entries of a log that verifies.
func kinds(w *world, dir string) (all string) {
	w.Helper()
	set, err := w.signer.PublicSet(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if _, err := audit.Verify(dir, audit.Evidence{Keys: [][]byte{set}}); err != nil {
		w.Error(err)
	}
	if err := audit.Read(dir, func(e audit.Entry) error { all += " " + e.Kind; return nil }); err != nil {
		w.Fatal(err)
	}
	return all
}

// A restored store remembers an older head, which the log contains.
func aStoreThatWasRestored(w *world) {
	dir := w.TempDir()
	k := w.gateway(dir, "gw-1")
	w.records(k, 2)
	older, err := load(w.Context(), w.store, "gw-1")
	if err != nil {
		w.Fatal(err)
	}
	w.records(k, 2)
	w.stop(k)
	restored, err := older.op()
	if err != nil {
		w.Fatal(err)
	}
	if err := w.store.Commit(w.Context(), store.Batch{Then: []store.Op{restored}}); err != nil {
		w.Fatal(err)
	}
	k = w.gateway(dir, "gw-1")
	w.settle(k)
	if got := missing(k, "gw-1"); got != "" {
		w.Errorf("got %s, want nothing missing", got)
	}
	if node, err := load(w.Context(), w.store, "gw-1"); err != nil || node.Head.Hash != k.Health().Head.Hash {
		w.Errorf("store remembers %+v (%v), want the last head", node, err)
	}
	w.stop(k)
}

// If others use the store, a node is reported after a day of silence; if nobody else does, at once.
func otherNodes(w *world) {
	w.shared = true
	one, two := w.gateway(w.TempDir(), "gw-1"), w.gateway(w.TempDir(), "gw-2")
	w.records(one, 1)
	w.records(two, 1)
	w.clock.forward(23 * time.Hour)
	w.settle(one)
	if got := missing(one, "gw-2"); got != "" {
		w.Errorf("within a day: got %s, want nothing missing", got)
	}
	w.settle(two) // has no new head, and reports that it is there
	two.cancel()  // on a busy machine a late round would report it again
	two.loop.Wait()
	w.clock.forward(23 * time.Hour)
	w.settle(one)
	if got := missing(one, "gw-2"); got != "" {
		w.Errorf("after another report: got %s, want nothing missing", got)
	}
	w.stop(two)
	w.clock.forward(2 * time.Hour)
	w.settle(one)
	if got := missing(one, "gw-2"); got != Silent {
		w.Errorf("after more than a day: got %q, want the node silent", got)
	}
	if err := one.Retire(w.Context(), "gw-2"); err != nil {
		w.Error(err)
	}
	if got := missing(one, "gw-2"); got != "" {
		w.Errorf("after retirement: got %s, want nothing missing", got)
	}
	if err := one.Retire(w.Context(), "gw-3"); !errors.Is(err, ErrNotRemembered) {
		w.Errorf("retiring an unknown node: got %v, want ErrNotRemembered", err)
	}
	if err := one.Retire(w.Context(), "a/b"); err == nil {
		w.Error("something that is no node's name was retired")
	}
	w.stop(one)

	two = w.gateway(two.log.Dir, "gw-2") // it comes back nevertheless
	w.settle(two)
	if node, err := load(w.Context(), w.store, "gw-2"); err != nil || !node.Retired.IsZero() {
		w.Errorf("node that came back: remembered as %+v (%v), want it no longer retired", node, err)
	}
	w.stop(two)

	w.shared = false
	two = w.gateway(two.log.Dir, "gw-2")
	w.settle(two)
	if got := missing(two, "gw-1"); got != Gone {
		w.Errorf("without other users of the store: got %q", got)
	}
	w.stop(two)
}

// A renamed log is the same log.
func renamed(w *world) {
	dir := w.TempDir()
	k := w.gateway(dir, "ward-7")
	w.records(k, 1)
	w.stop(k)
	k = w.gateway(dir, "gw-1")
	w.records(k, 1)
	if got := k.Status(); len(got.Missing) != 0 || len(got.Nodes) != 1 {
		w.Errorf("got missing %v of %d nodes, want nothing of one", got.Missing, len(got.Nodes))
	}
	w.stop(k)
}

// Two gateways with one name are found, because neither log contains the other's heads.
func twoOfOneName(w *world) {
	one, two := w.gateway(w.TempDir(), "gw-1"), w.gateway(w.TempDir(), "gw-1")
	for range 3 {
		w.records(one, 1)
		w.records(two, 1)
	}
	if got := missing(two, "gw-1"); got != Another {
		w.Errorf("got %q, want the other's log", got)
	}
	w.stop(one)
	w.stop(two)
}

// downStore does not answer.
type downStore struct{ store.Store }

func (downStore) Get(context.Context, ...string) ([]store.Record, error) {
	return nil, store.ErrUnavailable
}

// A store that does not answer delays no entry, is logged once, and is retried. After a reload the current configuration's
// store is used, and its signer signs.
func reloadsAndAStoreThatIsAway(w *world) {
	good := w.store
	w.store = downStore{good}
	k := w.gateway(w.TempDir(), "gw-1")
	for range 3 {
		if _, err := k.Append(w.Context(), "signing", 1); err != nil {
			w.Fatal(err)
		}
		k.Settle(w.Context(), w.store)
	}
	if k.Status().Error == "" || strings.Count(w.said.String(), "level=WARN") != 1 {
		w.Errorf("got status %q and log:\n%s", k.Status().Error, w.said.String())
	}
	next := &world{}
	k.Use(next, Settings{Signer: newSigner(w.T), Store: good})
	k.Drop(w)
	k.Drop(next) // the last ones stay
	w.store = good
	before := k.Health().Head
	if _, err := k.Append(w.Context(), "signing", 1); err != nil {
		w.Fatal(err)
	}
	k.Settle(w.Context(), k.present().Store)
	if node, err := load(w.Context(), good, "gw-1"); err != nil || k.Status().Error != "" || k.Health().HeadError == "" && node.Head.Number == before.Number {
		w.Errorf("afterwards the store remembers %+v (%v), and the status is %+v", node, err, k.Status())
	}
	w.stop(k)
}

// After the last configuration has gone its store closes, and a head signed at that moment starts no round on it.
func theStoreClosesAfterTheLastConfiguration(w *world) {
	good := w.store
	w.store = downStore{good}
	k := w.gateway(w.TempDir(), "gw-1")
	until(w, func() bool { return k.Status().Error != "" }) // the first round in the background
	k.Settle(w.Context(), good)
	k.Drop(w)
	k.roundIfUsed(w.Context())
	if got := k.Status().Error; got != "" {
		w.Errorf("after the last configuration: got a round that ended with %q, want none", got)
	}
	k.Use(&world{}, Settings{Signer: newSigner(w.T), Store: w.store})
	k.roundIfUsed(w.Context())
	if k.Status().Error == "" {
		w.Error("another configuration uses the log: got no round, want one")
	}
	w.store = good
	w.stop(k)
}

// In the background a keeper does by itself what the other tests call for.
func inTheBackground(w *world) {
	dir := w.TempDir()
	k := w.gateway(dir, "gw-1")
	remembered := func() bool {
		node, err := load(w.Context(), w.store, "gw-1")
		return err == nil && node.Head.Hash == k.Health().Head.Hash && node.version != 0
	}
	until(w, remembered)
	if _, err := k.Append(w.Context(), "signing", 1); err != nil {
		w.Fatal(err)
	}
	if err := k.log.Sign(w.Context()); err != nil {
		w.Fatal(err)
	}
	until(w, remembered)
	w.stop(k)
	if err := os.RemoveAll(dir); err != nil {
		w.Fatal(err)
	}
	w.clock.forward(time.Second)
	k = w.gateway(dir, "gw-1")
	until(w, func() bool { return missing(k, "gw-1") == Gone })
	w.stop(k)
}

// until polls for something that happens in the background.
func until(w *world, done func() bool) {
	w.Helper()
	deadline, tick := time.NewTimer(time.Minute), time.NewTicker(5*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			w.Fatal("waited a minute in vain")
		case <-tick.C:
		}
	}
}
