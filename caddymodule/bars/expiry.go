package bars

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync/atomic"
	"time"
)

// ExpirySoon is how long before a certificate expires the log warns, so that there is time to obtain a new one.
const ExpirySoon = 30 * 24 * time.Hour

const expiryAgain = 24 * time.Hour // between two warnings

// expiryWatch logs, once a day while there are requests, which certificates are about to expire. The metric
// countersign_certificate_expiry_timestamp_seconds always shows it.
type expiryWatch struct {
	certificates []*x509.Certificate
	logger       *slog.Logger
	now          func() time.Time
	next         atomic.Int64 // Unix seconds
}

// remind logs the warnings that are due.
func (e *expiryWatch) remind(ctx context.Context) {
	now, due := e.now(), e.next.Load()
	if now.Unix() < due || !e.next.CompareAndSwap(due, now.Add(expiryAgain).Unix()) {
		return
	}
	for _, certificate := range e.certificates {
		left := certificate.NotAfter.Sub(now)
		attributes := []slog.Attr{slog.String("subject", certificate.Subject.String()), slog.Time("expires", certificate.NotAfter)}
		switch {
		case left <= 0:
			e.logger.LogAttrs(ctx, slog.LevelError, "certificate expired, callers and receivers refuse it: get a new one (caddy countersign onboard csr)", attributes...)
		case left < min(ExpirySoon, certificate.NotAfter.Sub(certificate.NotBefore)/3):
			e.logger.LogAttrs(ctx, slog.LevelWarn, "certificate expires soon: request a new one now (caddy countersign onboard csr)", attributes...)
		}
	}
}
