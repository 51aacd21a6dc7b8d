package caddymodule

import (
	"errors"
	"net/http"

	"github.com/seed-dd2befc3/countersign/audit"
	"github.com/seed-dd2befc3/countersign/audit/keeper"
	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

// auditStatus tells how the audit log is; nil where none is open.
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
	return status
}

func auditHead(h audit.Head) adminapi.AuditHead {
	return adminapi.AuditHead{Number: h.Number, Hash: h.Hash, Time: h.Time}
}

// noAudit is the answer where no log is open.
func noAudit() (int, any) {
	return http.StatusNotFound, adminErrorf("this gateway keeps no audit log")
}

func (a *App) adminAudit(*http.Request) (int, any) {
	if status := a.auditStatus(); status != nil {
		return http.StatusOK, status
	}
	return noAudit()
}

// adminRetire ends the log of a node that will not come back.
func (a *App) adminRetire(r *http.Request) (int, any) {
	open, held := a.auditLog.Held()
	if !held {
		return noAudit()
	}
	err := open.Retire(r.Context(), r.PathValue("node"))
	switch {
	case errors.Is(err, keeper.ErrNotRemembered):
		return http.StatusNotFound, adminErrorf("%v", err)
	case errors.Is(err, keeper.ErrPresent):
		return http.StatusConflict, adminErrorf("%v", err)
	case err != nil:
		return http.StatusServiceUnavailable, adminErrorf("%v", err)
	}
	return http.StatusOK, a.auditStatus()
}
