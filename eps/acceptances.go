package eps

import (
	"context"
	"slices"
	"sync"
)

// maxAcceptances is how many are kept of a client, and maxClients of how many clients.
const (
	maxAcceptances = 1000
	maxClients     = 1000
)

// Memory keeps the newest acceptances of each client in memory. The zero value is ready for use.
type Memory struct {
	mu      sync.Mutex
	clients map[string][]Acceptance // the oldest first
}

// Add implements Acceptances.
func (m *Memory) Add(_ context.Context, client string, accepted Acceptance) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.clients == nil {
		m.clients = map[string][]Acceptance{}
	}
	if _, known := m.clients[client]; !known && len(m.clients) == maxClients {
		for other := range m.clients { // any of them: it is a stand-in
			delete(m.clients, other)
			break
		}
	}
	all := slices.Concat(m.clients[client], []Acceptance{accepted})
	if len(all) > maxAcceptances {
		all = all[len(all)-maxAcceptances:]
	}
	m.clients[client] = all
	return nil
}

// List implements Acceptances.
func (m *Memory) List(_ context.Context, client string) ([]Acceptance, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := slices.Clone(m.clients[client])
	slices.Reverse(all)
	return all, nil
}
