package bars

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/seed-dd2befc3/countersign/crl"
)

// crlLook is how often the files are checked for a change.
const crlLook = time.Minute

// maxCRL is the largest revocation list read, in bytes, also after decompression.
const maxCRL = 32 << 20

// Revocations are files with a certificate revocation list each, in any form that package crl reads. A changed file is read again within a minute; if
// that fails, the last good list stays in use.
type Revocations struct {
	files  []string
	chain  []*x509.Certificate
	logger *slog.Logger

	mu      sync.Mutex
	looked  time.Time
	seen    []os.FileInfo
	due     time.Time            // the earliest nextUpdate of the lists; zero: none
	overdue bool                 // whether a passed due was logged
	revoked map[string]time.Time // time of revocation, by issuer and serial number
}

// ReadRevocations reads the files. Each list must be current and signed by an authority of the chain.
func ReadRevocations(files []string, chain []*x509.Certificate, now time.Time, logger *slog.Logger) (*Revocations, error) {
	r := &Revocations{files: files, chain: chain, logger: logger, looked: now}
	if err := r.read(now); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Revocations) read(now time.Time) error {
	revoked, seen, due := map[string]time.Time{}, make([]os.FileInfo, 0, len(r.files)), time.Time{}
	for _, path := range r.files {
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("revocation list: %w", err)
		}
		if info.Size() > maxCRL {
			return fmt.Errorf("revocation list %s is larger than %d bytes", path, maxCRL)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("revocation list: %w", err)
		}
		next, err := r.add(revoked, text, now)
		if err != nil {
			return fmt.Errorf("revocation list %s: %w", path, err)
		}
		if !next.IsZero() && (due.IsZero() || next.Before(due)) {
			due = next
		}
		seen = append(seen, info)
	}
	r.revoked, r.seen, r.due, r.overdue = revoked, seen, due, false
	return nil
}

// add adds the revocations of one list to a map and returns when the next list is due.
func (r *Revocations) add(to map[string]time.Time, text []byte, now time.Time) (time.Time, error) {
	der, err := crl.DER(text, maxCRL)
	if err != nil {
		return time.Time{}, err
	}
	list, err := crl.Parse(der)
	if err != nil {
		return time.Time{}, err
	}
	for _, authority := range r.chain {
		if !bytes.Equal(list.RawIssuer, authority.RawSubject) || list.CheckSignatureFrom(authority) != nil {
			continue
		}
		if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			return time.Time{}, fmt.Errorf("expired: the next list was due at %s: fetch it", list.NextUpdate.UTC().Format(time.DateTime))
		}
		for _, entry := range list.RevokedCertificateEntries {
			to[string(list.RawIssuer)+entry.SerialNumber.String()] = entry.RevocationTime
		}
		return list.NextUpdate, nil
	}
	return time.Time{}, errors.New("not signed by an authority of the chain")
}

// look reads the files again if they have changed.
func (r *Revocations) look(now time.Time) {
	if now.Sub(r.looked) < crlLook {
		return
	}
	r.looked = now
	if !r.overdue && !r.due.IsZero() && now.After(r.due) {
		r.overdue = true
		r.logger.Error("revocation list expired, still in use: fetch the new one", slog.Time("due", r.due), slog.Any("files", r.files))
	}
	for i, path := range r.files {
		info, err := os.Stat(path)
		if err == nil && info.ModTime().Equal(r.seen[i].ModTime()) && info.Size() == r.seen[i].Size() {
			continue
		}
		if err = r.read(now); err != nil {
			r.logger.Error("revocation list cannot be read, the last good one stays in use", slog.Any("error", err))
		} else {
			r.logger.Info("revocation list reloaded", slog.String("file", path))
		}
		return
	}
}

// check refuses a chain that contains a revoked certificate. A nil r refuses nothing.
func (r *Revocations) check(chain []*x509.Certificate, now time.Time) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.look(now)
	for _, certificate := range chain {
		if when, ok := r.revoked[string(certificate.RawIssuer)+certificate.SerialNumber.String()]; ok {
			return fmt.Errorf("%s in the caller's chain was revoked on %s", nameOf(certificate), when.UTC().Format(time.DateOnly))
		}
	}
	return nil
}
