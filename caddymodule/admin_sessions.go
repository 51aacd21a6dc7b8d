package caddymodule

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/signing"
)

const (
	scanPage   = 200  // records read at a time
	maxScanned = 5000 // records scanned for one answer
)

// service returns a signing service that can read sessions. Sessions live in the store, so any service will do.
func (a *App) service() *signing.Service {
	for _, site := range a.services {
		if service, keeps := site.service.(*signing.Service); keeps {
			return service
		}
	}
	return nil
}

// adminSessions lists sessions by client and, within each, by id.
func (a *App) adminSessions(r *http.Request) (int, any) {
	query := r.URL.Query()
	limit, ok := limitOf(query.Get("limit"))
	if !ok {
		return http.StatusBadRequest, adminErrorf("limit must be a number from 1 to %d", adminapi.MaxListed)
	}
	state := signing.State(query.Get("state"))
	if state != "" && !slices.Contains(adminapi.SessionStates(), state) {
		return http.StatusBadRequest, adminErrorf("unknown state: use one of %v", adminapi.SessionStates())
	}
	clients := slices.Sorted(maps.Keys(a.Clients))
	if client := query.Get("client"); client != "" {
		clients = []string{client} // even one that is no longer configured
	}
	list := adminapi.SessionList{Sessions: []signing.Summary{}}
	service := a.service()
	if service == nil {
		return http.StatusOK, list
	}
	if err := fillSessions(r.Context(), &list, service, clients, query.Get("after"), state, limit); err != nil {
		return http.StatusServiceUnavailable, adminErrorf("the store does not answer: %v", err)
	}
	return http.StatusOK, list
}

// fillSessions continues after a cursor of the form <client id>/<session id>.
func fillSessions(ctx context.Context, l *adminapi.SessionList, service *signing.Service, clients []string, cursor string, state signing.State, limit int) error {
	first, after := "", ""
	if i := strings.LastIndexByte(cursor, '/'); i >= 0 {
		first, after = cursor[:i], cursor[i+1:]
	}
	scanned := 0
	for _, client := range clients {
		if client < first {
			continue
		}
		if client != first {
			after = ""
		}
		for {
			found, more, err := service.Sessions(ctx, client, after, scanPage)
			if err != nil {
				return err
			}
			for _, session := range found {
				if state != "" && session.State != state {
					continue
				}
				if len(l.Sessions) == limit {
					last := l.Sessions[limit-1]
					l.Next = last.Client + "/" + last.ID
					return nil
				}
				l.Sessions = append(l.Sessions, session)
			}
			if more == "" {
				break
			}
			after = more
			if scanned += scanPage; scanned >= maxScanned {
				l.Next = client + "/" + more
				return nil
			}
		}
	}
	return nil
}

// adminSession returns one session.
func (a *App) adminSession(r *http.Request) (int, any) {
	service := a.service()
	if service == nil {
		return http.StatusNotFound, adminErrorf("this gateway keeps no sessions")
	}
	session, found, err := service.Session(r.Context(), r.PathValue("id"))
	switch {
	case err != nil:
		return http.StatusServiceUnavailable, adminErrorf("the store does not answer: %v", err)
	case !found:
		return http.StatusNotFound, adminErrorf("no session has this id: it may have expired, or it never existed")
	}
	return http.StatusOK, session
}

// adminRefusals lists the latest refusals.
func (a *App) adminRefusals(r *http.Request) (int, any) {
	limit, ok := limitOf(r.URL.Query().Get("limit"))
	if !ok {
		return http.StatusBadRequest, adminErrorf("limit must be a number from 1 to %d", adminapi.MaxListed)
	}
	all := a.refused.Value().latest(func(adminapi.Refusal) bool { return true })
	return http.StatusOK, adminapi.RefusalList{Refusals: all[:min(limit, len(all))]}
}

// adminRefusal lists the refusals with one request id. Callers choose request ids and may reuse them.
func (a *App) adminRefusal(r *http.Request) (int, any) {
	id := r.PathValue("id")
	found := a.refused.Value().latest(func(report adminapi.Refusal) bool { return report.RequestID == id || report.CorrelationID == id })
	if len(found) == 0 {
		return http.StatusNotFound, adminErrorf("no request with this id is among the last %d refusals: search the log", adminapi.MaxRefusals)
	}
	return http.StatusOK, adminapi.RefusalList{Refusals: found}
}

func limitOf(text string) (limit int, ok bool) {
	if text == "" {
		return adminapi.DefaultListed, true
	}
	limit, err := strconv.Atoi(text)
	return limit, err == nil && limit >= 1 && limit <= adminapi.MaxListed
}
