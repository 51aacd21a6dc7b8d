package caddymodule

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/store/backup"
)

// backupStall bounds how long the reader of a backup may stall. The store cannot be closed while a backup is read.
const backupStall = 30 * time.Second

// promptWriter aborts an answer whose reader stalls.
type promptWriter struct {
	io.Writer
	control *http.ResponseController
	within  time.Duration
}

func (w *promptWriter) Write(b []byte) (int, error) {
	if err := w.control.SetWriteDeadline(time.Now().Add(w.within)); err != nil {
		return 0, err
	}
	return w.Writer.Write(b)
}

// adminBackup streams a backup of the open store. Its last line shows the reader that the backup is complete.
func adminBackup(w http.ResponseWriter, r *http.Request) error {
	a := running.latest()
	if a == nil {
		return adminAnswer(w, http.StatusServiceUnavailable, adminErrorf("countersign is not configured or has not started yet"))
	}
	open, held := a.store.Held()
	if !held {
		return adminAnswer(w, http.StatusServiceUnavailable, adminErrorf("the store is not open: no site of this configuration needs it"))
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(adminapi.StoreHeader, a.engine.Identity())
	began := time.Now()
	out := &promptWriter{Writer: w, control: http.NewResponseController(w), within: backupStall}
	summary, err := backup.Write(r.Context(), out, newTimedStore(open.Store, a.metrics.Value()), a.now())
	if err != nil {
		a.logger.Error("store backup aborted", slog.Any("error", err), slog.Int("records", summary.Records))
		panic(http.ErrAbortHandler) // the status is already sent; the broken connection signals the failure
	}
	a.logger.Info("store backed up", slog.Int("records", summary.Records), slog.Duration("duration", time.Since(began)))
	return nil
}
