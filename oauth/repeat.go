package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/cookies"
	"github.com/seed-dd2befc3/countersign/store"
)

// outcomeRepeated is of a token that was told once more, since its answer may have been lost.
const outcomeRepeated = "repeated"

// lostAnswer is the answer to a refresh as it is kept for a repeat (TOK-8.17): sealed under a key that derives from the
// refresh token that got it, so that the store, which has that token's hash alone, cannot open it.
//
//	refresh ──▶ there ──RefreshRepeat──▶ gone
//	              └─ the next refresh token is used, or the sign-in ends ─▶ gone
type lostAnswer struct {
	Answer userIssued `json:"answer"`
	Until  time.Time  `json:"until"`
	Issued time.Time  `json:"issued"`
}

func repeatKey(token string) string { return secretKey("repeat/", token) }

func repeatPurpose(family string) string { return "countersign refresh answer " + family }

// keepAnswer is the record of an answer to this refresh token.
func (s *Service) keepAnswer(token string, f *family, answer *userIssued) (*store.Record, error) {
	lost := lostAnswer{Answer: *answer, Issued: s.Now(), Until: s.Now().Add(s.RefreshRepeat)}
	text, err := json.Marshal(lost)
	if err != nil {
		return nil, fmt.Errorf("keeping an answer: %w", err)
	}
	sealed, err := cookies.Seal([]byte(token), repeatPurpose(f.id), text)
	if err != nil {
		return nil, fmt.Errorf("keeping an answer: %w", err)
	}
	return &store.Record{Key: repeatKey(token), Value: []byte(sealed), Expires: lost.Until}, nil
}

// repeated is the answer that a used refresh token got, if it may be told again, or nil. Whoever proves itself by an
// assertion spends that, and so needs a new one.
func (s *Service) repeated(ctx context.Context, c *call, token string, kept refreshRecord) (*userIssued, error) {
	if s.RefreshRepeat <= 0 {
		return nil, nil //nolint:nilnil // none is no error
	}
	found, err := s.Store.Get(ctx, repeatKey(token), familyKey(kept.Family))
	if err != nil {
		return nil, err
	}
	again, of := found[0], found[1]
	if again.Version == 0 || of.Version == 0 {
		return nil, nil //nolint:nilnil // as above
	}
	f, err := parseFamily(of)
	if err != nil {
		return nil, err
	}
	lost, err := openAnswer(token, f, again)
	if err != nil || lost == nil || !s.Now().Before(lost.Until) {
		return nil, err
	}
	how := AuditRecord{Grant: grantRefresh, Outcome: outcomeRepeated}
	if c.assertion != nil {
		how.KID = c.assertion.jws.Header.KID
		proof := c.usedJTI()
		err := usedBefore(s.Store.Commit(ctx, store.Batch{
			If:   []store.Check{{Key: again.Key, Version: again.Version}, {Key: of.Key, Version: of.Version}, {Key: proof.Key}},
			Then: []store.Op{{Put: proof}},
		}), proof.Key)
		switch {
		case conflicted(err): // the next refresh token was used, or the sign-in ended, at this very moment
			return nil, nil //nolint:nilnil // as above
		case err != nil:
			return nil, err
		}
	}
	if err := s.noteRepeat(ctx, c, f, how, lost); err != nil {
		return nil, err
	}
	return &lost.Answer, nil
}

// openAnswer opens what keepAnswer sealed, or returns nil.
func openAnswer(token string, f *family, kept store.Record) (*lostAnswer, error) {
	text, err := cookies.Open([]byte(token), repeatPurpose(f.id), string(kept.Value))
	if err != nil || text == nil {
		return nil, err
	}
	var lost lostAnswer
	if err := json.Unmarshal(text, &lost); err != nil {
		return nil, fmt.Errorf("the record of an answer cannot be read: %w", errGrant)
	}
	return &lost, nil
}

// noteRepeat records that a token is told once more, before it is.
func (s *Service) noteRepeat(ctx context.Context, c *call, f *family, how AuditRecord, lost *lostAnswer) error {
	token := lost.Answer.AccessToken
	how.Client, how.Token, how.Products = c.id, tokenName(token), c.client.Products
	how.Person, how.Level, how.Family = f.person(), LevelOf(f.Level), f.id
	how.Issued, how.Expires = lost.Issued.UTC(), lost.Issued.Add(tokenLife).UTC()
	if s.Auditor != nil {
		if err := s.Auditor.Record(ctx, how); err != nil && !s.AuditOptional {
			return fmt.Errorf("%w: the audit log did not take the record: %w", errAudit, err)
		} else if err != nil {
			s.noteUnaudited(ctx, how, err)
		}
	}
	s.Logger.LogAttrs(ctx, slog.LevelInfo, "a refresh was repeated; it got the same answer",
		slog.String("client", c.id), slog.String("token", tokenName(token)), slog.String("family", f.id))
	return nil
}
