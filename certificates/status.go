package certificates

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// ListStatus is the state of one revocation list.
type ListStatus struct {
	URL        string    `json:"url"`
	Current    bool      `json:"current"` // it proves that what it does not list is not revoked
	Entries    int       `json:"entries"`
	Read       time.Time `json:"read,omitzero"` // when it was fetched, or confirmed to be the newest
	NextUpdate time.Time `json:"nextUpdate,omitzero"`
	NextFetch  time.Time `json:"nextFetch,omitzero"`
	Error      string    `json:"error,omitempty"` // of the last fetch
}

// Tally counts the fetches of lists, and requests to responders, of one host.
type Tally struct {
	Host    string
	Fetched uint64
	Failed  uint64
}

// Lists returns the state of all lists: those that are not current first, then those whose last fetch failed.
func (r *Revocations) Lists() []ListStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]ListStatus, 0, len(r.held))
	for _, h := range r.held {
		s := ListStatus{URL: printable(h.url), Current: r.current(h.list), Read: h.read, NextFetch: h.next}
		if h.list != nil {
			s.Entries, s.NextUpdate = len(h.list.revoked), h.list.nextUpdate
		}
		if h.err != nil {
			s.Error = h.err.Error()
		}
		all = append(all, s)
	}
	rank := func(s ListStatus) int {
		switch {
		case !s.Current:
			return 0
		case s.Error != "":
			return 1
		}
		return 2
	}
	slices.SortFunc(all, func(a, b ListStatus) int {
		if by := rank(a) - rank(b); by != 0 {
			return by
		}
		return strings.Compare(a.URL, b.URL)
	})
	return all
}

// Tallies returns the counts since the start, by host.
func (r *Revocations) Tallies() []Tally {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Tally, 0, len(r.tally))
	for _, t := range r.tally {
		all = append(all, *t)
	}
	return all
}

// Host returns the host of an address, for counting by host.
func Host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// tallyOf returns a host's tally. r.mu must be held. Only allowed hosts are counted, so there are few.
func (r *Revocations) tallyOf(address string) *Tally {
	host := Host(address)
	t, there := r.tally[host]
	if !there {
		t = &Tally{Host: host}
		r.tally[host] = t
	}
	return t
}
