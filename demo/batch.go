package demo

import (
	"crypto/subtle"
	"encoding/base64"
	"io"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
)

const (
	maxBatches = 1000
	batchLife  = time.Hour // as long as the service keeps signatures
	secretSize = 32        // bytes
)

// batch is one request under way. It holds no prescriptions: they are made again from its seed.
type batch struct {
	state     string // of the request: proves that the browser returns from this request
	secret    string // this browser's cookie: proves that the same browser returns
	token     string // the service's
	seed      uuid.UUID
	size      int
	sub       string
	algorithm string
	made      time.Time
}

// newBatch makes a batch with new secrets.
func newBatch(random io.Reader, order order, now time.Time) (*batch, error) {
	seed, err := uuid.NewRandomFromReader(random)
	if err != nil {
		return nil, err
	}
	b := &batch{seed: seed, size: order.size, sub: order.Sub, algorithm: order.Algorithm, made: now.UTC().Truncate(time.Second)}
	for _, secret := range []*string{&b.state, &b.secret} {
		raw := make([]byte, secretSize)
		if _, err := io.ReadFull(random, raw); err != nil {
			return nil, err
		}
		*secret = base64.RawURLEncoding.EncodeToString(raw)
	}
	return b, nil
}

// item is a prescription with the part that is signed.
type item struct {
	prescription
	Digest  string
	payload client.Payload
}

// items makes the batch's prescriptions and their payloads, the same ones each time.
func (b *batch) items() ([]item, error) {
	items := make([]item, b.size)
	for i := range items {
		p := prescribe(b.seed, i, b.sub, b.made)
		payload, digest, err := client.SignedInfo(b.algorithm, []byte(p.document()))
		if err != nil {
			return nil, err
		}
		items[i] = item{p, digest, client.Payload{ID: p.ID, Payload: base64.StdEncoding.EncodeToString(payload)}}
	}
	return items, nil
}

func payloads(items []item) []client.Payload {
	out := make([]client.Payload, len(items))
	for i, it := range items {
		out[i] = it.payload
	}
	return out
}

// cookieName returns the name of the cookie with the batch's secret. Each batch has its own, so that several can be
// under way in one browser.
func (d *Demo) cookieName(state string) string {
	return "countersign-demo-" + d.options.ClientID + "-" + state[:min(len(state), 8)]
}

// batches holds the batches under way, oldest first.
type batches struct {
	now   func() time.Time
	mu    sync.Mutex
	order []*batch
}

// add adds a batch, and drops those that are too old or too many.
func (bs *batches) add(b *batch) {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	drop := 0
	for drop < len(bs.order) && (len(bs.order)-drop >= maxBatches || bs.stale(bs.order[drop])) {
		drop++
	}
	bs.order = append(append(make([]*batch, 0, len(bs.order)-drop+1), bs.order[drop:]...), b)
}

// find returns the batch with the state, if the browser has its secret, or nil.
func (bs *batches) find(state, secret string) *batch {
	bs.mu.Lock()
	defer bs.mu.Unlock()
	var found *batch
	for _, b := range bs.order {
		if !bs.stale(b) && same(b.state, state) && same(b.secret, secret) {
			found = b
		}
	}
	return found
}

func (bs *batches) stale(b *batch) bool { return bs.now().Sub(b.made) >= batchLife }

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
