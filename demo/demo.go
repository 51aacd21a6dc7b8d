package demo

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/jwks"
)

// Options of a Demo. Vault is mandatory.
type Options struct {
	ClientID string // as the service knows it; default demo-epr
	KID      string // of its key; default demo-epr-1
	Name     string // shown on its pages; default Demo EPR

	// PublicURL is the demo's URL for browsers, such as https://host/demo. Empty: taken from each request, but only
	// if the connection ended at a loopback address.
	PublicURL string
	// ServiceURL is the Signing Service's URL for the demo. Empty: /signing-service at the origin of PublicURL.
	ServiceURL string
	// Audience is the service's own public URL, if it differs from ServiceURL.
	Audience string

	// Authorize adds what the service's access rules require, such as an access token obtained with the demo's key,
	// to a call about to be sent. nil: nothing.
	Authorize func(ctx context.Context, key *jwks.Signer, r *http.Request) error

	HTTP   *http.Client     // for calls to the service; nil: one with a timeout of 30 s
	Vault  Vault            // keeps the key
	Now    func() time.Time // nil: time.Now
	Rand   io.Reader        // nil: crypto/rand
	Logger *slog.Logger     // nil: nothing is logged
}

// Demo is the demo client system. It is an http.Handler that serves at once; until it has its key, its pages say so.
type Demo struct {
	options Options
	origin  string // of PublicURL; empty: taken from the request
	pages   pages
	mux     *http.ServeMux
	log     *slog.Logger
	batches batches
	inbox   inbox

	key     atomic.Pointer[key]
	keyBits int

	mu      sync.Mutex // guards stops and closed
	stops   []context.CancelFunc
	closed  bool
	running sync.WaitGroup
}

// New checks the options and makes a Demo. It does no work until Start.
func New(o Options) (*Demo, error) {
	o.ClientID = cmp.Or(o.ClientID, "demo-epr")
	o.KID = cmp.Or(o.KID, "demo-epr-1")
	o.Name = cmp.Or(o.Name, "Demo EPR")
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	// The id is part of a file name and of a cookie name.
	if !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`).MatchString(o.ClientID) {
		return nil, errors.New("the demo's client id may have letters, digits, dots, dashes and underscores, at most 64")
	}
	if o.Vault == nil {
		return nil, errors.New("the demo needs a vault for its key")
	}
	d := &Demo{options: o, log: o.Logger, keyBits: realBits}
	d.batches.now, d.inbox.now = o.Now, o.Now
	var err error
	if d.origin, err = checkURLs(o); err != nil {
		return nil, err
	}
	if d.pages, err = parsePages(); err != nil {
		return nil, err
	}
	d.mux = d.routes()
	return d, nil
}

func (d *Demo) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.index)
	mux.HandleFunc("POST /sign", d.sign)
	mux.HandleFunc("GET /sign", toIndex)
	mux.HandleFunc("GET /signed", d.signed)
	mux.HandleFunc("POST /webhook", d.webhook)
	mux.HandleFunc("GET /webhooks", d.webhooks)
	mux.HandleFunc("GET /jwks.json", d.keySet)
	mux.Handle("GET /assets/{file}", assets())
	return mux
}

// ServeHTTP implements http.Handler. The path is relative to the mount.
func (d *Demo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	d.mux.ServeHTTP(w, r)
}

// Start makes or loads the key in the background, until ctx ends or Close. It may be called again, as on a reload,
// when the first context ends while the demo continues.
func (d *Demo) Start(ctx context.Context) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.key.Load() != nil {
		return
	}
	ctx, stop := context.WithCancel(ctx)
	d.stops = append(d.stops, stop)
	d.running.Go(func() {
		defer stop()
		d.keepTrying(ctx)
	})
}

// Close stops what Start began and waits for it: a key that is being made is finished and saved first, which takes
// seconds. Start does nothing after Close.
func (d *Demo) Close() {
	d.mu.Lock()
	d.closed = true
	for _, stop := range d.stops {
		stop()
	}
	d.mu.Unlock()
	d.running.Wait()
}

// client returns a client of the service at a place.
func (d *Demo) client(k *key, at place) *client.Client {
	c := &client.Client{
		ID:       d.options.ClientID,
		Signer:   k.signer,
		BaseURL:  at.service,
		Audience: d.options.Audience,
		HTTP:     d.options.HTTP,
		Now:      d.options.Now,
	}
	if d.options.Authorize != nil {
		c.Authorize = func(ctx context.Context, r *http.Request) error { return d.options.Authorize(ctx, k.signer, r) }
	}
	return c
}
