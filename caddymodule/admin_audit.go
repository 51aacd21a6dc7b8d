package caddymodule

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/audit/keeper"
	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

// auditStatus returns the state of the audit log, or nil if none is open.
func (a *App) auditStatus() *adminapi.Audit {
	open, held := a.auditLog.Held()
	if !held {
		return nil
	}
	found := open.Status()
	status := &adminapi.Audit{
		Node: found.Node, Dir: found.Dir, Unsigned: found.Unsigned, Error: found.Health.Error, HeadError: found.HeadError,
		StoreError: found.Error, Missing: []adminapi.AuditMissing{}, Nodes: []adminapi.AuditNode{},
	}
	if found.Head.Number > 0 {
		last := auditHead(found.Head)
		status.Head = &last
	}
	for _, m := range found.Missing {
		status.Missing = append(status.Missing, adminapi.AuditMissing{Node: m.Node, What: string(m.What), Head: auditHead(m.Head), Found: m.Found})
	}
	for _, n := range found.Nodes {
		status.Nodes = append(status.Nodes, adminapi.AuditNode{Node: n.Node, Head: auditHead(n.Head), Seen: n.Seen, Retired: n.Retired})
	}
	status.Due, status.Waiting, status.KeepError = found.Due, found.Waiting, found.Retention.Error
	if found.Keep > 0 {
		status.Keep = found.Keep.String()
	}
	if h := found.Handed; h != nil {
		status.Handed = &adminapi.AuditHanded{AuditHead: adminapi.AuditHead{Number: h.Number, Hash: h.Hash, Time: h.Time}, To: h.To}
	}
	if h := found.Hold; h != nil {
		status.Hold = &adminapi.AuditHold{Since: h.Since, Reason: h.Reason}
	}
	return status
}

func auditHead(h audit.Head) adminapi.AuditHead {
	return adminapi.AuditHead{Number: h.Number, Hash: h.Hash, Time: h.Time}
}

// noAudit is the answer when no audit log is open.
func noAudit() (int, any) {
	return http.StatusNotFound, adminErrorf("this gateway keeps no audit log")
}

func (a *App) adminAudit(*http.Request) (int, any) {
	if status := a.auditStatus(); status != nil {
		return http.StatusOK, status
	}
	return noAudit()
}

// adminAudits makes a handler from an operator's action on the log. The answer is the state of the log afterwards.
func adminAudits(do func(log *openAudit, r *http.Request) error) func(*App, *http.Request) (int, any) {
	return func(a *App, r *http.Request) (int, any) {
		open, held := a.auditLog.Held()
		if !held {
			return noAudit()
		}
		err := do(open, r)
		switch {
		case errors.Is(err, keeper.ErrNotRemembered):
			return http.StatusNotFound, adminErrorf("%v", err)
		case errors.Is(err, keeper.ErrPresent), errors.Is(err, keeper.ErrNotContained):
			return http.StatusConflict, adminErrorf("%v", err)
		case errors.Is(err, errSaid):
			return http.StatusBadRequest, adminErrorf("%v", err)
		case err != nil:
			return http.StatusServiceUnavailable, adminErrorf("%v", err)
		}
		return http.StatusOK, a.auditStatus()
	}
}

// errSaid means that a parameter of the operator's request is missing or invalid.
var errSaid = errors.New("invalid request")

// auditRetire retires a node's log.
func auditRetire(log *openAudit, r *http.Request) error {
	return log.Retire(r.Context(), r.PathValue("node"))
}

// auditHanded records an operator's statement that a head is kept outside.
func auditHanded(log *openAudit, r *http.Request) error {
	head, err := audit.ParsePosition(r.URL.Query().Get("head"))
	if err != nil {
		return fmt.Errorf("%w: %w", errSaid, err)
	}
	to := r.URL.Query().Get("to")
	if to == "" || len(to) > maxWord {
		return fmt.Errorf("%w: parameter \"to\" must say where the head is kept, in at most %d bytes", errSaid, maxWord)
	}
	return log.Acknowledge(r.Context(), head, to)
}

// maxWord bounds a text from an operator that is recorded, in bytes.
const maxWord = 500

// auditHold keeps the log's files from being removed.
func auditHold(log *openAudit, r *http.Request) error {
	reason := r.URL.Query().Get("reason")
	if reason == "" || len(reason) > maxWord {
		return fmt.Errorf("%w: parameter \"reason\" must give the reason of the hold, in at most %d bytes", errSaid, maxWord)
	}
	return log.Hold(r.Context(), reason)
}

// auditRelease ends a hold.
func auditRelease(log *openAudit, r *http.Request) error { return log.Release(r.Context()) }
