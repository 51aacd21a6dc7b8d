package oauth

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/store"
)

// refresh is the grant refresh_token, in the order of TOK-5.8 to TOK-5.10. A client that exchanges ID tokens may
// prove itself by an assertion, as it did there; others do by their secret.
func (s *Service) refresh(ctx context.Context, c *call) (any, error) {
	prove := s.secretClient
	if c.form.Get(paramAssertion) != "" {
		prove = s.assertingClient
	}
	if err := prove(c); err != nil {
		return nil, err
	}
	token := c.form.Get(paramRefreshToken)
	if token == "" {
		return nil, tell(bad("refresh_token is missing"))
	}
	key := refreshKey(token)
	for range settleTries {
		found, err := s.Store.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		kept, err := s.checkRefresh(c, found[0])
		if err != nil {
			return nil, err
		}
		if kept.Used {
			return s.usedRefresh(ctx, c, token, kept)
		}
		answer, err := s.spendRefresh(ctx, c, token, found[0], kept)
		if !conflicted(err) {
			return answer, err
		}
		if c.assertion != nil {
			if err := usedBefore(err, c.usedJTI().Key); !conflicted(err) {
				return nil, err
			}
		}
	}
	return nil, fmt.Errorf("%w: a refresh token changed %d times while it was used", errContended, settleTries)
}

// assertingClient finds the client that proves itself by an assertion: rows 4 to 24.
func (s *Service) assertingClient(c *call) error {
	if err := c.run(s.assertions); err != nil {
		return err
	}
	c.id = c.assertion.client()
	return nil
}

// checkRefresh says what the refresh token stands for, or why it stands for nothing here. It may have been used.
func (s *Service) checkRefresh(c *call, found store.Record) (refreshRecord, error) {
	var kept refreshRecord
	if found.Version == 0 {
		return kept, refreshInvalid("the refresh token is not known")
	}
	if err := json.Unmarshal(found.Value, &kept); err != nil {
		return kept, fmt.Errorf("the record of a refresh token cannot be read: %w", errGrant)
	}
	switch {
	case kept.Client != c.id:
		return kept, refreshInvalid("the refresh token is another client's")
	case !kept.Used && !s.Now().Before(kept.Ends):
		return kept, refreshOver()
	}
	return kept, nil
}

// usedRefresh answers a refresh token that was used: with the same as before, if that may have been lost, or with the end
// of its family.
func (s *Service) usedRefresh(ctx context.Context, c *call, token string, kept refreshRecord) (any, error) {
	answer, err := s.repeated(ctx, c, token, kept)
	if err != nil { // no typed nil may become an answer
		return nil, err
	}
	if answer != nil {
		return answer, nil
	}
	s.Logger.LogAttrs(ctx, slog.LevelWarn, "a used refresh token came again; its family is revoked",
		slog.String("client", kept.Client), slog.String("family", kept.Family))
	if err := s.revoke(ctx, kept.Family); err != nil {
		return nil, err
	}
	return nil, refreshInvalid("the refresh token was used before; its family is revoked")
}

func refreshOver() error {
	return invalidGrant(http.StatusUnauthorized, "refresh token refresh period has expired")
}

func refreshInvalid(why string) error {
	return invalidGrant(http.StatusUnauthorized, "refresh_token is invalid").withDetail(why)
}

// spendRefresh uses the refresh token up in the commit that makes the next.
func (s *Service) spendRefresh(ctx context.Context, c *call, token string, found store.Record, kept refreshRecord) (any, error) {
	f, err := s.family(ctx, kept.Family)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, refreshInvalid("its family was revoked")
	}
	if !s.Now().Before(f.begun().Add(s.livesOf(c.form).window)) {
		return nil, refreshOver()
	}
	f.Count++
	renewed, err := f.record()
	if err != nil {
		return nil, err
	}
	batch := store.Batch{If: []store.Check{{Key: found.Key, Version: found.Version}, {Key: renewed.Key, Version: f.version}}}
	if kept.Repeat != "" { // the answer that told this token has arrived
		batch.Then = append(batch.Then, store.Op{Delete: kept.Repeat})
	}
	kept.Used, kept.Repeat = true, ""
	used, err := kept.keep(found.Key)
	if err != nil {
		return nil, err
	}
	batch.Then = append(batch.Then, store.Op{Put: used}, store.Op{Put: renewed})
	spend := spending{batch: batch, how: AuditRecord{Grant: grantRefresh}, repeat: token}
	if c.assertion != nil {
		proof := c.usedJTI()
		spend.batch.If, spend.batch.Then = append(spend.batch.If, store.Check{Key: proof.Key}), append(spend.batch.Then, store.Op{Put: proof})
		spend.how.KID, spend.jti = c.assertion.jws.Header.KID, proof.Key
	}
	answer, err := s.issueUser(ctx, c, f, spend)
	if err != nil { // no typed nil may become an answer
		return nil, err
	}
	return answer, nil
}
