package webhook

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// result is what a lane learns from one claimed delivery.
type result struct {
	tried, failed bool
	retry         time.Time // when it is due again, if that is known
}

// handle does with one claimed delivery what there is to do.
func (d *Dispatcher) handle(settings *Settings, claimed *store.Record) result {
	delivery, err := parse(claimed)
	if err != nil {
		settings.Logger.LogAttrs(d.life, slog.LevelError, "a webhook's record is damaged; it is left alone",
			slog.String("record", claimed.Key), slog.String("error", err.Error()))
		return result{retry: d.setAside(settings, claimed)}
	}
	if delivery.State == Waiting {
		d.ripen(settings, delivery)
		return result{}
	}
	address, known := settings.Addresses[delivery.Client]
	if !known {
		settings.bury(delivery, "the client has no webhook in the present configuration", d.Now())
		d.keep(settings, delivery)
		settings.log(d.life, delivery)
		return result{}
	}
	attempt, retryAfter := settings.send(d.life, address, delivery, d.Now)
	if d.life.Err() != nil && attempt.Outcome != OutcomeDelivered {
		delivery.due = d.Now() // broken off by us: as if it had not been tried
		d.keep(settings, delivery)
		return result{}
	}
	settings.conclude(delivery, attempt, retryAfter, d.Now(), d.Random())
	if d.Observer != nil {
		d.Observer.Attempted(delivery.Client, attempt.Outcome, time.Duration(attempt.Millis)*time.Millisecond)
	}
	d.keep(settings, delivery)
	settings.log(d.life, delivery)
	if attempt.Outcome == OutcomeDelivered {
		settings.Delivered(delivery)
	}
	how := result{tried: true, failed: attempt.Outcome != OutcomeDelivered && attempt.Outcome != OutcomeGone}
	if delivery.State == Pending {
		how.retry = delivery.due
	}
	return how
}

// ripen asks the source what has become of what was waited for.
func (d *Dispatcher) ripen(settings *Settings, delivery *Delivery) {
	ctx, cancel := context.WithTimeout(d.life, settleWithin)
	defer cancel()
	err := settings.Source.Ripen(ctx, delivery)
	var conflict *store.Conflict
	if err != nil && !errors.As(err, &conflict) && d.life.Err() == nil { // a conflict: it has happened just now
		settings.Logger.LogAttrs(ctx, slog.LevelWarn, "whether a session is over could not be read; it is looked at again",
			slog.String("delivery", delivery.ID), slog.String("client", delivery.Client), slog.String("error", err.Error()))
	}
}

// keep commits what became of a delivery. Where that fails its lease runs out, and it is delivered again; where somebody
// has changed it meanwhile, by a replay for one, that stands.
func (d *Dispatcher) keep(settings *Settings, delivery *Delivery) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.life), settleWithin)
	defer cancel()
	batch, err := delivery.change()
	if err == nil {
		err = d.Store.Commit(ctx, batch)
	}
	var conflict *store.Conflict
	if err != nil && !errors.As(err, &conflict) {
		settings.Logger.LogAttrs(ctx, slog.LevelWarn, "what became of a webhook was not kept; it is delivered again",
			slog.String("delivery", delivery.ID), slog.String("client", delivery.Client), slog.String("error", err.Error()))
	}
}

// setAside makes a record that cannot be read due again late, so that it neither is lost nor comes all the time.
func (d *Dispatcher) setAside(settings *Settings, damaged *store.Record) time.Time {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.life), settleWithin)
	defer cancel()
	later := *damaged
	later.Due = d.Now().Add(settings.LongestWait)
	if err := d.Store.Commit(ctx, store.Batch{
		If: []store.Check{{Key: damaged.Key, Version: damaged.Version}}, Then: []store.Op{{Put: &later}},
	}); err != nil {
		return time.Time{}
	}
	return later.Due
}

// log writes one line for each attempt.
func (s *Settings) log(ctx context.Context, of *Delivery) {
	attrs := []slog.Attr{
		slog.String("delivery", of.ID), slog.String("client", of.Client), slog.String("type", of.Type), slog.Int("attempts", of.Attempts),
	}
	if of.Last != nil {
		attrs = append(attrs, slog.String("outcome", of.Last.Outcome), slog.Int("status", of.Last.Status),
			slog.Int64("millis", of.Last.Millis), slog.String("detail", of.Last.Detail))
	}
	switch of.State {
	case Delivered:
		s.Logger.LogAttrs(ctx, slog.LevelInfo, "webhook delivered", attrs...)
	case Dead:
		s.Logger.LogAttrs(ctx, slog.LevelError, "webhook is a dead letter", append(attrs, slog.String("why", of.Why))...)
	default:
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "webhook not delivered", append(attrs, slog.Time("next", of.due))...)
	}
}
