package display

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/seed-dd2befc3/countersign/prescription"
	"github.com/seed-dd2befc3/countersign/store"
)

// Defaults of Options.
const (
	DefaultLife      = 24 * time.Hour
	DefaultPerClient = 10_000
)

// ErrFull means that a client has as many displays as it may have.
var ErrFull = errors.New("the client has as many displays as it may have")

// ErrTooLarge means that a prescription is larger than the store takes.
var ErrTooLarge = errors.New("the prescription is too large to be kept")

// Options are what a Keeper needs. Store and Vault are mandatory.
type Options struct {
	Store store.Store
	Vault Vault

	Life      time.Duration // of a display; default DefaultLife. Find can prolong it
	PerClient int           // displays of one client at one time; default DefaultPerClient

	Now  func() time.Time // default time.Now
	Rand io.Reader        // of secrets; default crypto/rand
}

// Keeper keeps displays. Its methods may be called from many goroutines.
type Keeper struct {
	Options
	secrets *secrets
	quotas  *quotas
	zip     *zstd.Encoder
	unzip   *zstd.Decoder
}

// New makes a Keeper. It touches neither store nor vault before it is used.
func New(options Options) (*Keeper, error) {
	if options.Life <= 0 {
		options.Life = DefaultLife
	}
	if options.PerClient <= 0 {
		options.PerClient = DefaultPerClient
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Rand == nil {
		options.Rand = rand.Reader
	}
	k := &Keeper{Options: options}
	k.secrets = newSecrets(options.Vault, options.Life, options.Now, options.Rand)
	k.quotas = newQuotas(options.Store, options.PerClient, options.Now)
	var err error
	if k.zip, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true)); err != nil {
		return nil, err
	}
	k.unzip, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*prescription.MaxBytes), zstd.WithDecoderLowmem(true))
	return k, err
}

// Keep keeps the fragments behind a payload for a client. It refuses fragments of another payload
// (prescription.ErrDigest), and returns ErrFull or ErrTooLarge if there is no room for them.
func (k *Keeper) Keep(ctx context.Context, client string, payload, fragments []byte) error {
	if _, err := prescription.Display(fragments, payload); err != nil {
		return err
	}
	now := k.Now()
	expires := now.Add(k.Life)
	record, err := k.seal(ctx, place{client, payload}, content{fragments: fragments}, expires)
	if err != nil {
		return err
	}
	if err := k.quotas.admit(ctx, client); err != nil {
		return err
	}
	return k.Store.Commit(ctx, store.Batch{Then: []store.Op{{Put: &record}}})
}

// Find returns what can be shown of each payload, in their order: nil where nothing is kept for this client, and where
// what is kept cannot be opened or is not behind this payload. It tells also which of them the person has looked at, see
// Look. Displays that it finds are kept at least until the time given.
func (k *Keeper) Find(ctx context.Context, client, person string, payloads [][]byte, until time.Time) (found []*prescription.Prescription, looked []bool, err error) {
	found, looked = make([]*prescription.Prescription, len(payloads)), make([]bool, len(payloads))
	by := lookerOf(person)
	var aging []store.Record
	for start := 0; start < len(payloads); start += findPage {
		page := payloads[start:min(start+findPage, len(payloads))]
		keys := make([]string, len(page))
		for i, payload := range page {
			keys[i] = place{client, payload}.key()
		}
		records, err := k.Store.Get(ctx, keys...)
		if err != nil {
			return nil, nil, err
		}
		for i, payload := range page {
			p, what, older, err := k.read(ctx, place{client, payload}, records[i], until)
			if err != nil {
				return nil, nil, err
			}
			if p != nil {
				found[start+i], looked[start+i] = p, slices.Contains(what.lookers, by)
			}
			if older != nil {
				aging = append(aging, *older)
			}
		}
	}
	return found, looked, k.prolong(ctx, aging)
}

// findPage is how many records are read at a time.
const findPage = 100

// read returns what a record shows, or nil, what it holds, and the record that is to live longer if it would expire too
// early.
func (k *Keeper) read(ctx context.Context, at place, record store.Record, until time.Time) (*prescription.Prescription, *content, *store.Record, error) {
	if record.Version == 0 {
		return nil, nil, nil, nil
	}
	what, err := k.open(ctx, at, record.Value)
	if err != nil || what == nil {
		return nil, nil, nil, err
	}
	p, err := prescription.Display(what.fragments, at.payload)
	if err != nil { // not what was kept: nothing is shown
		return nil, nil, nil, nil //nolint:nilerr // it is the answer
	}
	if !record.Expires.Before(until) {
		return p, what, nil, nil
	}
	resealed, err := k.seal(ctx, at, *what, until)
	resealed.Version = record.Version
	return p, what, &resealed, err
}

// prolong puts records that live longer in the place of others. One that somebody else has changed meanwhile is left
// alone: it was kept anew.
func (k *Keeper) prolong(ctx context.Context, aging []store.Record) error {
	for i := range aging {
		batch := store.Batch{
			If:   []store.Check{{Key: aging[i].Key, Version: aging[i].Version}},
			Then: []store.Op{{Put: &aging[i]}},
		}
		var conflict *store.Conflict
		if err := k.Store.Commit(ctx, batch); err != nil && !errors.As(err, &conflict) {
			return fmt.Errorf("prolonging displays: %w", err)
		}
	}
	return nil
}

// Sweep destroys secrets that protect no display any more. It is to be called now and then, also when nothing is kept.
func (k *Keeper) Sweep(ctx context.Context) error { return k.secrets.sweep(ctx) }

// place is what a display is kept for.
type place struct {
	client  string
	payload []byte
}
