package caddymodule

import (
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/store/backup"
)

// backupStall is how long whoever fetches a backup may take nothing of it. The store cannot be closed meanwhile.
const backupStall = 30 * time.Second

// promptWriter breaks off an answer that its receiver does not take.
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

// adminBackup streams a backup of the open store. Who reads it knows by its last line whether it is whole.
func adminBackup(w http.ResponseWriter, r *http.Request) error {
	a := running.latest()
	if a == nil {
		return adminAnswer(w, http.StatusServiceUnavailable, adminErrorf("countersign is not configured, or not started yet"))
	}
	open, held := a.store.Held()
	if !held {
		return adminAnswer(w, http.StatusServiceUnavailable, adminErrorf("the store is not open: no site of this configuration keeps anything"))
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set(adminapi.StoreHeader, a.engine.Identity())
	began := time.Now()
	out := &promptWriter{Writer: w, control: http.NewResponseController(w), within: backupStall}
	summary, err := backup.Write(r.Context(), out, newTimedStore(open.Store, a.metrics.Value()), a.now())
	if err != nil {
		a.logger.Error("a backup of the store broke off", slog.Any("error", err), slog.Int("records", summary.Records))
		panic(http.ErrAbortHandler) // the status is told; the connection tells that it did not end
	}
	a.logger.Info("the store was backed up", slog.Int("records", summary.Records), slog.Duration("duration", time.Since(began)))
	return nil
}
