package caddymodule

import (
	"slices"
	"sync"
)

// running are the apps that have started and not ended, the latest last: one, and during a reload two. The admin
// endpoint looks here for the one that it tells of. Caddy's own way there would not do: its admin server runs before
// the apps of its configuration are there, and after a failed reload it belongs to the configuration that failed.
var running apps

type apps struct {
	mu  sync.Mutex
	all []*App
}

func (l *apps) add(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, a)
}

// remove takes an app out, if it is there.
func (l *apps) remove(a *App) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = slices.DeleteFunc(l.all, func(other *App) bool { return other == a })
}

// latest is the app that was started last, or nil.
func (l *apps) latest() *App {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == 0 {
		return nil
	}
	return l.all[len(l.all)-1]
}
