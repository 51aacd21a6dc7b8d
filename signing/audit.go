package signing

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"time"

	"github.com/seed-dd2befc3/countersign/client"
)

// Auditor keeps a record of each batch.
type Auditor interface {
	// Record returns where the record stands once it is kept for good.
	Record(ctx context.Context, record AuditRecord) (client.AuditEntry, error)
	// Err is why records cannot be kept at present; nil where they can.
	Err() error
}

// AuditRecord says what became of one batch: who asked, who signed what with which certificate through which agent,
// and when. It names a person, so it belongs into an audit log and nowhere else.
type AuditRecord struct {
	Session     string            `json:"session"`
	Client      string            `json:"client"`
	Sub         string            `json:"sub"`
	Came        string            `json:"came,omitempty"` // of a sign-in that did not count: the user id of who signed in
	Algorithm   string            `json:"algorithm"`
	Outcome     string            `json:"outcome"` // signed, failed, cancelled, not_kept after signed, sign_in_refused, or displayed
	Reason      string            `json:"reason,omitempty"`
	Agent       string            `json:"agent,omitempty"`
	Mock        bool              `json:"mock,omitempty"`
	Try         int               `json:"try,omitempty"`
	Display     string            `json:"display,omitempty"` // what the page has shown: shown, or fallback for ids and digests
	Requested   time.Time         `json:"requested"`
	Items       []AuditItem       `json:"items,omitempty"` // of a reason declined: those that something is wrong with
	Certificate *AuditCertificate `json:"certificate,omitempty"`
}

// AuditItem is one payload, by its id and its digests.
type AuditItem struct {
	ID     string `json:"id"`
	Digest string `json:"digest"` // what the page shows: the SignedInfo's own, or else the payload's SHA-256
	SHA256 string `json:"sha256"` // of the payload's bytes, base64
}

// AuditCertificate is the signer's certificate.
type AuditCertificate struct {
	Subject string `json:"subject"`
	Issuer  string `json:"issuer"`
	Serial  string `json:"serial"`
	SHA256  string `json:"sha256"` // of its DER, hex
}

// outcomes of an AuditRecord beside a session's state.
const (
	outcomeNotKept       = "not_kept"        // audited as signed, but then not kept and so not released
	outcomeSignInRefused = "sign_in_refused" // somebody signed in at the page and was not let in; the session goes on
)

func auditRecord(of *session, outcome, reason string) AuditRecord {
	return AuditRecord{
		Session: of.ID, Client: of.Client, Sub: of.Sub, Algorithm: of.Algorithm, Outcome: outcome, Reason: reason,
		Mock: of.Mock, Try: of.Runs, Display: of.Display, Requested: of.Created.UTC(),
	}
}

// auditSigned records a batch that is about to be released, and refuses the release if that fails.
func (j *job) auditSigned(ctx context.Context, items, released []item) error {
	if j.service.Auditor == nil {
		return nil
	}
	record := auditRecord(j.session, string(StateSigned), "")
	record.Agent = j.route.Name
	record.Certificate = auditCertificate(released[0].Payload)
	record.Items = auditItems(items)
	at, err := j.service.Auditor.Record(ctx, record)
	if err == nil {
		j.audited = &at
	}
	if err == nil || j.service.AuditOptional {
		j.service.noteUnaudited(ctx, j.session, err)
		return nil
	}
	return &refusal{code: reasonAudit, detail: "the audit log did not take the record: " + err.Error()}
}

// auditItems are the items of a record.
func auditItems(items []item) []AuditItem {
	all := make([]AuditItem, 0, len(items))
	for _, it := range items {
		sum := sha256.Sum256(it.Payload)
		all = append(all, AuditItem{ID: it.ID, Digest: digestOf(it.Payload), SHA256: base64.StdEncoding.EncodeToString(sum[:])})
	}
	return all
}

// auditEnd records what is not a release. Nothing depends on it, so a failure is told to the log alone.
func (s *Service) auditEnd(ctx context.Context, of *session, agent, outcome, reason string) {
	record := auditRecord(of, outcome, reason)
	record.Agent = agent
	s.audit(ctx, of, record)
}

// auditDeclined records which items a person has found something wrong with.
func (s *Service) auditDeclined(ctx context.Context, of *session, declined []item) {
	record := auditRecord(of, string(StateCancelled), reasonDeclined)
	record.Items = auditItems(declined)
	s.audit(ctx, of, record)
}

// auditRefusedSignIn records who signed in at the page and was not let in.
func (s *Service) auditRefusedSignIn(ctx context.Context, of *session, reason, user string) {
	record := auditRecord(of, outcomeSignInRefused, reason)
	record.Came = user
	s.audit(ctx, of, record)
}

func (s *Service) audit(ctx context.Context, of *session, record AuditRecord) {
	if s.Auditor == nil {
		return
	}
	_, err := s.Auditor.Record(ctx, record)
	s.noteUnaudited(ctx, of, err)
}

func (s *Service) noteUnaudited(ctx context.Context, of *session, err error) {
	if err != nil {
		s.Logger.LogAttrs(ctx, slog.LevelError, "the audit log lacks a record",
			slog.String("session", of.ID), slog.String("error", err.Error()))
	}
}

func auditCertificate(der []byte) *AuditCertificate {
	leaf, err := x509.ParseCertificate(der)
	if err != nil { // it was parsed before it was released
		return nil
	}
	sum := sha256.Sum256(der)
	return &AuditCertificate{
		Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), Serial: leaf.SerialNumber.String(),
		SHA256: hex.EncodeToString(sum[:]),
	}
}
