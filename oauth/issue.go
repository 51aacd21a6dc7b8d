package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

const (
	tokenLife   = 599 * time.Second // TOK-1.4
	tokenLength = 28
	jtiSkew     = time.Minute // how long a jti is remembered after its exp: what nodes' clocks may differ
	window      = time.Minute // of a rate
	settleTries = 8           // for a commit that another node was quicker with
)

// errContended is that many others were quicker, again and again.
var errContended = errors.New("the token service is too busy")

// issued is the answer to a token request. All values are strings (TOK-1.4).
type issued struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   string `json:"expires_in"`
	TokenType   string `json:"token_type"`
	IssuedAt    string `json:"issued_at"` // ms since 1970
}

// issue makes a token for an assertion that passed all checks, and settles the client's rate and the jti in the
// same commit (rows 19 and 16, in this order).
func (s *Service) issue(ctx context.Context, c *call) (*issued, error) {
	token, err := newToken(s.Rand)
	if err != nil {
		return nil, err
	}
	now, life := s.Now(), s.livesOf(c.form).access
	client := c.assertion.client()
	grant := Grant{
		Client: client, Level: LevelApplication, Scopes: applicationScopes(c.client.Scopes), Products: c.client.Products,
		Issued: now, Expires: now.Add(life),
	}
	used := c.usedJTI()
	batch := store.Batch{If: []store.Check{{Key: used.Key}}, Then: []store.Op{{Put: used}, {Put: grant.record(token)}}}
	err = s.keep(ctx, grant, AuditRecord{KID: c.assertion.jws.Header.KID}, token, c.client.Rate, used.Key, batch)
	if err := usedBefore(err, used.Key); err != nil {
		return nil, err
	}
	s.Logger.LogAttrs(ctx, slog.LevelInfo, "token issued",
		slog.String("client", client), slog.String("kid", c.assertion.jws.Header.KID),
		slog.String("token", tokenName(token)), slog.String("jti", used.Key[len("jti/"):][:12]))
	return &issued{
		AccessToken: token, ExpiresIn: expiresIn(life), TokenType: "Bearer",
		IssuedAt: strconv.FormatInt(now.UnixMilli(), 10),
	}, nil
}

// usedJTI is what is kept of an assertion that was used.
func (c *call) usedJTI() *store.Record {
	return &store.Record{
		Key: "jti/" + digest(c.assertion.client(), c.assertion.jti()), Value: []byte{1}, Expires: c.assertion.expiresAt().Add(jtiSkew),
	}
}

// settle commits a token with what it spends and, for a client that has a rate, one more in the present minute. A
// conflict that it returns is one of the batch.
func (s *Service) settle(ctx context.Context, client string, rate int, now time.Time, batch store.Batch) error {
	if rate <= 0 {
		return s.Store.Commit(ctx, batch)
	}
	// Within this process the tokens of one client take turns, so that they do not spoil each other's count.
	release, err := s.turns.take(ctx, client)
	if err != nil {
		return err
	}
	defer release()
	counter := rateKey(client, now)
	for range settleTries {
		found, err := s.Store.Get(ctx, counter)
		if err != nil {
			return err
		}
		if err := withinRate(client, rate, found[0], now); err != nil {
			return err
		}
		counted := &store.Record{
			Key: counter, Value: binary.AppendUvarint(nil, readCount(found[0].Value)+1), Expires: now.Truncate(window).Add(window + jtiSkew),
		}
		err = s.Store.Commit(ctx, store.Batch{
			If:   append([]store.Check{{Key: counter, Version: found[0].Version}}, batch.If...),
			Then: append([]store.Op{{Put: counted}}, batch.Then...),
		})
		if conflict, ok := errors.AsType[*store.Conflict](err); ok && conflict.Check.Key == counter {
			continue
		}
		return err
	}
	return fmt.Errorf("%w: the rate of client %s changed %d times while it was settled", errContended, client, settleTries)
}

// usedBefore turns the conflict about a jti into its row.
func usedBefore(err error, key string) error {
	if conflict, ok := errors.AsType[*store.Conflict](err); ok && conflict.Check.Key == key {
		return jtiUsed()
	}
	return err
}

// rateKey is where a client's tokens of the present minute are counted.
func rateKey(client string, now time.Time) string {
	return "rate/" + digest(client, strconv.FormatInt(now.Truncate(window).Unix(), 10))
}

// withinRate is row 19.
func withinRate(client string, rate int, counted store.Record, now time.Time) error {
	count := readCount(counted.Value)
	if rate <= 0 || count < uint64(rate) {
		return nil
	}
	e := overRate()
	e.RetryAfter = now.Truncate(window).Add(window).Sub(now)
	return e.withDetail(fmt.Sprintf("client %s: %d tokens in this minute", client, count))
}

func readCount(value []byte) uint64 {
	count, _ := binary.Uvarint(value)
	return count
}

// digest is a short name of several texts, none of which can be mistaken for another's beginning.
func digest(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text)))) // a hash never fails
		h.Write([]byte(text))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// newToken makes an opaque token of letters and digits. Bytes that would favour some of them are thrown away.
func newToken(random io.Reader) (string, error) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const fair = 256 - 256%len(letters)
	token := make([]byte, 0, tokenLength)
	for buffer := make([]byte, 40); ; {
		if _, err := io.ReadFull(random, buffer); err != nil {
			return "", fmt.Errorf("making a token: %w", err)
		}
		for _, b := range buffer {
			if int(b) < fair {
				token = append(token, letters[int(b)%len(letters)])
			}
			if len(token) == tokenLength {
				return string(token), nil
			}
		}
	}
}
