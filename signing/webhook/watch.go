package webhook

import (
	"context"
	"maps"
	"time"
)

// Stats are how many deliveries stand, by client, as they were counted last.
type Stats map[string]ClientStats

// ClientStats are one client's part of Stats.
type ClientStats struct {
	Pending int
	Oldest  time.Time // since when the oldest pending one is being delivered
	Dead    int
}

const (
	watchPage = 500    // records read at a time
	maxWatch  = 20_000 // records of one state that are counted
)

// Stats returns the last count. Of each state at most 20,000 are counted.
func (d *Dispatcher) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.stats)
}

// watch counts again and again until the end.
func (d *Dispatcher) watch() {
	tick := time.NewTicker(d.Watch)
	defer tick.Stop()
	for {
		d.count(d.claiming)
		select {
		case <-d.claiming.Done():
			return
		case <-tick.C:
		}
	}
}

// count reads through the open deliveries and the dead letters. Clients that it meets get a lane, also those that are
// configured no more: theirs become dead letters that way.
func (d *Dispatcher) count(ctx context.Context) {
	stats := Stats{}
	for _, state := range []State{Waiting, Pending, Dead} {
		after := ""
		for read := 0; read < maxWatch; read += watchPage {
			found, more, err := List(ctx, d.Store, state, after, watchPage)
			if err != nil {
				return // the last count stands
			}
			for _, delivery := range found {
				stats.add(delivery)
			}
			if after = more; more == "" {
				break
			}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats = stats
	for client := range stats {
		d.lane(client)
	}
}

func (s Stats) add(d *Delivery) {
	of := s[d.Client]
	switch d.State {
	case Pending:
		of.Pending++
		if of.Oldest.IsZero() || d.Since.Before(of.Oldest) {
			of.Oldest = d.Since
		}
	case Dead:
		of.Dead++
	}
	s[d.Client] = of
}
