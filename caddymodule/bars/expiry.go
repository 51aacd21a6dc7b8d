package bars

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync/atomic"
	"time"
)

// ExpirySoon is how long before a certificate expires people are told: there must be time to ask others for a new one.
const ExpirySoon = 30 * 24 * time.Hour

const expiryAgain = 24 * time.Hour // between two lines of the log

// expiryWatch tells in the log, once a day while there are requests, which certificates are about to expire. The
// metric countersign_certificate_expiry_timestamp_seconds tells it at any time.
type expiryWatch struct {
	certificates []*x509.Certificate
	logger       *slog.Logger
	now          func() time.Time
	next         atomic.Int64 // Unix seconds
}

// remind writes the lines that are due.
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
			e.logger.LogAttrs(ctx, slog.LevelError, "a certificate has expired: callers and receivers refuse it; get a new one (caddy countersign onboard csr)", attributes...)
		case left < min(ExpirySoon, certificate.NotAfter.Sub(certificate.NotBefore)/3):
			e.logger.LogAttrs(ctx, slog.LevelWarn, "a certificate expires soon: ask for a new one now (caddy countersign onboard csr)", attributes...)
		}
	}
}
