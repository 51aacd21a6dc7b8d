package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-dd2befc3/countersign/caddymodule/pool"
	"github.com/seed-dd2befc3/countersign/certificates"
)

// revocations is a revocation checker in the pool.
type revocations struct{ *certificates.Revocations }

// Destruct ends running fetches.
func (r *revocations) Destruct() error {
	r.Close()
	return nil
}

// acquireRevocations returns the checker shared by configurations with the same options, or makes one. It does no I/O, so
// it runs in Provision. When the configuration starts, the checker reads its lists from disk and begins to fetch.
func (a *App) acquireRevocations(c *Certificates) (*certificates.Revocations, error) {
	options, err := a.revocationOptions(c)
	if err != nil {
		return nil, err
	}
	key := fmt.Sprintf("revocations %q %q %q %d %d %s %s %s %v %v %v", options.Dir, options.Hosts, options.Rewrites, options.MaxBytes, options.MaxEntries,
		options.Refresh, options.Stale, options.Outbound.Timeout, options.NoOCSP, options.Outbound.AllowLocalhost, options.Outbound.AllowNetworks)
	if c.TrustMock {
		key += fmt.Sprintf(" mock %v", a.vault.storage)
		options.Local = map[string]func(context.Context) ([]byte, error){
			MockCRLAddress: func(ctx context.Context) ([]byte, error) { return a.vault.Load(ctx, MockCRL) },
		}
	}
	held := &pool.Share[*revocations]{}
	r, err := held.Acquire(key, func() (*revocations, error) {
		made, err := certificates.New(options)
		return &revocations{made}, err
	})
	if err != nil {
		return nil, err
	}
	a.lists = append(a.lists, held)
	a.OnStart(func(context.Context) { r.Start() }) //nolint:contextcheck // it outlives the context that starts it
	return r.Revocations, nil
}

func (a *App) releaseRevocations() error {
	var err error
	for _, held := range a.lists {
		err = errors.Join(err, held.Release())
	}
	return err
}

// revocations returns the checkers of this configuration's sites, each once.
func (a *App) revocations() []*certificates.Revocations {
	var all []*certificates.Revocations
	for _, held := range a.lists {
		if r, ok := held.Held(); ok && !slices.Contains(all, r.Revocations) {
			all = append(all, r.Revocations)
		}
	}
	return all
}

// revocationStatus is the state of the revocation lists in /countersign/status.
type revocationStatus struct {
	Current int                       `json:"current"` // valid lists
	Expired int                       `json:"expired"` // lists past their nextUpdate
	Missing int                       `json:"missing"` // lists never fetched
	Failing int                       `json:"failing"` // lists whose last fetch failed, of any of these
	Lists   []certificates.ListStatus `json:"lists"`   // at most 100, failing ones first
}

func (a *App) revocationStatus() revocationStatus {
	const most = 100
	status := revocationStatus{Lists: []certificates.ListStatus{}}
	for _, r := range a.revocations() {
		for _, l := range r.Lists() {
			switch {
			case l.Current:
				status.Current++
			case l.NextUpdate.IsZero():
				status.Missing++
			default:
				status.Expired++
			}
			if l.Error != "" {
				status.Failing++
			}
			if len(status.Lists) < most {
				status.Lists = append(status.Lists, l)
			}
		}
	}
	return status
}
