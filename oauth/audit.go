package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/seed-dd2befc3/countersign/store"
)

// errAudit is that a token could not be recorded, and so is not made.
var errAudit = errors.New("the token cannot be recorded")

// outcomeNotKept is of a token that was audited, but then not kept, or not for certain, and so told to nobody.
const outcomeNotKept = "not_kept"

// keep records a token, and then commits it with all that it spends: with an audit log that cannot be written nothing is
// spent, and whoever asks again gets a token. A crash in between leaves a record of a token that never was.
//
//	what refuses ──▶ audit log ──▶ commit ──▶ told
//	                                  └─ failed ─▶ audit log: not_kept
//
// What would refuse the batch is looked for first, or whoever sends a used assertion again and again would fill the log:
// jti is the key of the one that it spends, or empty. A conflict that keep returns is one of the batch.
func (s *Service) keep(ctx context.Context, grant Grant, record AuditRecord, token string, rate int, jti string, batch store.Batch) error {
	if s.Auditor == nil {
		return s.settle(ctx, grant.Client, rate, grant.Issued, batch)
	}
	if err := s.refusesBatch(ctx, grant, rate, jti); err != nil {
		return err
	}
	record.Client, record.Token, record.Products = grant.Client, tokenName(token), grant.Products
	record.Issued, record.Expires = grant.Issued.UTC(), grant.Expires.UTC()
	if err := s.Auditor.Record(ctx, record); err != nil && !s.AuditOptional {
		return fmt.Errorf("%w: the audit log did not take the record: %w", errAudit, err)
	} else if err != nil {
		s.noteUnaudited(ctx, record, err)
	}
	err := s.settle(ctx, grant.Client, rate, grant.Issued, batch)
	if err != nil {
		record.Outcome = outcomeNotKept
		s.noteUnaudited(ctx, record, s.Auditor.Record(context.WithoutCancel(ctx), record))
	}
	return err
}

// refusesBatch is the refusal of a client above its rate, or with an assertion that was used (rows 19 and 16), as far as
// it can be foreseen.
func (s *Service) refusesBatch(ctx context.Context, grant Grant, rate int, jti string) error {
	counter := rateKey(grant.Client, grant.Issued)
	var keys []string
	if rate > 0 {
		keys = append(keys, counter)
	}
	if jti != "" {
		keys = append(keys, jti)
	}
	if len(keys) == 0 {
		return nil
	}
	found, err := s.Store.Get(ctx, keys...)
	if err != nil {
		return err
	}
	for _, record := range found {
		switch {
		case record.Key == counter:
			err = withinRate(grant.Client, rate, record, grant.Issued)
		case record.Version != 0:
			err = jtiUsed()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) noteUnaudited(ctx context.Context, record AuditRecord, err error) {
	if err != nil {
		s.Logger.LogAttrs(ctx, slog.LevelError, "the audit log lacks a record of a token",
			slog.String("client", record.Client), slog.String("outcome", record.Outcome), slog.String("error", err.Error()))
	}
}
