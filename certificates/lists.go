package certificates

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/outbound"
)

// The limits of the cache of lists, and the intervals of fetches.
const (
	maxLists   = 4096               // lists; some issuers split theirs into many small ones
	maxTotal   = 4                  // times MaxEntries: entries of all lists together
	maxFetches = 4                  // at a time
	firstRetry = 30 * time.Second   // after a failed fetch; then doubled
	lastRetry  = 15 * time.Minute   //
	rounds     = 15 * time.Second   // between checks for lists that are due
	idle       = 7 * 24 * time.Hour // a list not used for this long is not fetched any more
)

// Revocations knows which certificates are revoked: it caches the lists that certificates name, and asks the responders.
// It outlives a configuration and is safe for concurrent use.
type Revocations struct {
	Options
	client *http.Client
	slots  chan struct{} // one per fetch in flight
	begun  sync.Once

	life  context.Context // ends with Close
	end   context.CancelFunc
	tasks sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	held    map[string]*held // by address and signer
	entries int              // of all lists
	tally   map[string]*Tally
	ocsp    answers
}

// held is the cache entry of one list.
type held struct {
	key    string // key in Revocations.held, and the name of its file
	url    string
	signer *x509.Certificate

	// Guarded by Revocations.mu.
	list      *list // the last good one, or nil
	read      time.Time
	validator validator
	next      time.Time // no fetch starts earlier
	failures  int       // since the last good list
	err       error     // of the last fetch
	flight    chan struct{}
	asked     time.Time // when it was last used
}

// validator is what a server said about a list, so that it need not send it again.
type validator struct {
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
}

// New returns an empty Revocations. It connects to nothing and reads nothing.
func New(options Options) (*Revocations, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	r := &Revocations{
		Options: options, client: outbound.New(options.Outbound),
		slots: make(chan struct{}, maxFetches), held: map[string]*held{}, tally: map[string]*Tally{},
	}
	r.ocsp.init()
	r.life, r.end = context.WithCancel(context.Background())
	return r, nil
}

// Start reads the stored lists and starts refreshing in the background, once.
func (r *Revocations) Start() {
	r.begun.Do(func() {
		r.spawn(func() {
			r.warm()
			ticker := time.NewTicker(rounds)
			defer ticker.Stop()
			for {
				select {
				case <-ticker.C:
					r.refreshDue()
				case <-r.life.Done():
					return
				}
			}
		})
	})
}

// Close cancels all fetches and waits for them.
func (r *Revocations) Close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.end()
	r.tasks.Wait()
	r.client.CloseIdleConnections()
}

// spawn runs a task that Close waits for. It returns false after Close was called.
func (r *Revocations) spawn(task func()) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.tasks.Go(task)
	return true
}

// list returns the list at an address if the signer signed it, and whether it is current. A current list is returned at
// once; otherwise list waits for one fetch, if one is in flight or may start. The error says why the list is not
// current.
func (r *Revocations) list(ctx context.Context, url string, signer *x509.Certificate) (l *list, current bool, err error) {
	if _, local := r.Local[url]; !local {
		if _, err := r.address(url); err != nil {
			return nil, false, err
		}
	}
	h := r.place(url, signer)
	r.mu.Lock()
	h.asked = r.Now()
	l, current = h.list, r.current(h.list)
	var flight <-chan struct{}
	if !h.asked.Before(h.next) {
		flight = r.fetch(h) //nolint:contextcheck // a fetch is shared, not part of this question
	} else if !current {
		flight = h.flight
	}
	err = h.err
	r.mu.Unlock()
	if current {
		return l, true, nil
	}
	if flight == nil {
		return l, false, orElse(err, errors.New("list was not fetched"))
	}
	select {
	case <-flight:
	case <-ctx.Done():
		return l, false, errors.New("list did not arrive in time")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return h.list, r.current(h.list), orElse(h.err, errors.New("list did not arrive in time"))
}

func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// current reports whether a list proves something about what it does not list.
func (r *Revocations) current(l *list) bool {
	return l != nil && r.Now().Before(l.nextUpdate.Add(r.Stale))
}

// place returns the cache entry of an address and a signer, creating it if needed.
func (r *Revocations) place(url string, signer *x509.Certificate) *held {
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(url), signer.RawSubject, signer.RawSubjectPublicKeyInfo} {
		fmt.Fprintf(sum, "%d:", len(part))
		sum.Write(part)
	}
	key := hex.EncodeToString(sum.Sum(nil))
	r.mu.Lock()
	defer r.mu.Unlock()
	h, there := r.held[key]
	if !there {
		h = &held{key: key, url: url, signer: signer, asked: r.Now()}
		r.held[key] = h
		r.makeRoom(h)
	}
	return h
}

// keep stores a list in its entry. r.mu must be held.
func (r *Revocations) keep(h *held, l *list) {
	if h.list != nil {
		r.entries -= len(h.list.revoked)
	}
	h.list = l
	r.entries += len(l.revoked)
	r.makeRoom(h)
}

// makeRoom drops the least recently used lists until the cache is within its limits. r.mu must be held.
func (r *Revocations) makeRoom(but *held) {
	for len(r.held) > maxLists || r.entries > maxTotal*r.MaxEntries {
		var oldest *held
		for _, h := range r.held {
			if h != but && (oldest == nil || h.asked.Before(oldest.asked)) {
				oldest = h
			}
		}
		if oldest == nil {
			return
		}
		r.forget(oldest)
	}
}

// forget drops a list. r.mu must be held.
func (r *Revocations) forget(h *held) {
	if h.list != nil {
		r.entries -= len(h.list.revoked)
	}
	delete(r.held, h.key)
	r.unkeep(h)
}

// refreshDue starts fetching lists that are due and still used, and drops those that are not used any more.
func (r *Revocations) refreshDue() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	for _, h := range r.held {
		switch wanted := now.Sub(h.asked) < idle; {
		case wanted && !now.Before(h.next):
			r.fetch(h)
		case !wanted && h.flight == nil && !r.current(h.list):
			r.forget(h)
		}
	}
}
