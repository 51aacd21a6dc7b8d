package oauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/store"
)

// reuseRemembered is how long after its end a used code or a refresh token is still known for what it was.
const reuseRemembered = 12 * time.Hour

// userIssued is the answer to a token request with a user. All values are strings (TOK-5.12).
type userIssued struct {
	AccessToken      string `json:"access_token"`
	ExpiresIn        string `json:"expires_in"`
	TokenType        string `json:"token_type"`
	IssuedAt         string `json:"issued_at,omitempty"`
	IssuedTokenType  string `json:"issued_token_type,omitempty"`
	RefreshToken     string `json:"refresh_token"`
	RefreshExpiresIn string `json:"refresh_token_expires_in"`
	RefreshCount     string `json:"refresh_count"`
	SID              string `json:"sid,omitempty"`
}

// refreshRecord is what a refresh token stands for.
type refreshRecord struct {
	Client string    `json:"client"`
	Family string    `json:"family"`
	Ends   time.Time `json:"ends"` // the window
	Used   bool      `json:"used,omitempty"`
	Repeat string    `json:"repeat,omitempty"` // the key of the answer that told it, which ends with its use
}

func refreshKey(token string) string { return secretKey("refresh/", token) }

// keep is the record of the refresh token with this key. It outlives its window and its use, so that a late one is
// told from an unknown one, and a second use is noticed.
func (r refreshRecord) keep(key string) (*store.Record, error) {
	value, err := json.Marshal(r)
	return &store.Record{Key: key, Value: value, Expires: r.Ends.Add(reuseRemembered)}, err
}

// spending is what a request for a user's tokens uses up, and how it proved itself.
type spending struct {
	batch  store.Batch
	how    AuditRecord
	jti    string // the key of the assertion's, or empty
	repeat string // the refresh token whose answer may be told again, or empty
}

// issueUser makes an access token and the next refresh token of a family, and commits them with what they spend. A
// conflict is returned as it is.
func (s *Service) issueUser(ctx context.Context, c *call, f *family, spend spending) (*userIssued, error) {
	now, life := s.Now(), s.livesOf(c.form)
	grant := f.grant(c.client, now, life.access)
	switch {
	case len(grant.Scopes) > 0:
	case spend.how.Grant == grantExchange: // it begins with this level (TOK-7.3)
		return nil, withWhy(notConfigured(), fmt.Sprintf("%s, which is %d", errLevel, f.Level))
	default: // it began with some, so that they were taken away since
		return nil, noProduct(f.Client)
	}
	token, err := newToken(s.Rand)
	if err != nil {
		return nil, err
	}
	next, err := newToken(s.Rand)
	if err != nil {
		return nil, err
	}
	ends := earliest(f.Ends, now.Add(life.refresh), f.begun().Add(life.window))
	answer := &userIssued{
		AccessToken: token, ExpiresIn: expiresIn(life.access), TokenType: "Bearer",
		RefreshToken: next, RefreshExpiresIn: expiresIn(ends.Sub(now) + time.Second - 1),
		RefreshCount: strconv.Itoa(f.Count),
	}
	batch := store.Batch{If: spend.batch.If, Then: append(spend.batch.Then, store.Op{Put: grant.record(token)})}
	kept := refreshRecord{Client: f.Client, Family: f.id, Ends: ends}
	if spend.repeat != "" && s.RefreshRepeat > 0 {
		again, err := s.keepAnswer(spend.repeat, f, answer)
		if err != nil {
			return nil, err
		}
		kept.Repeat, batch.Then = again.Key, append(batch.Then, store.Op{Put: again})
	}
	record, err := kept.keep(refreshKey(next))
	if err != nil {
		return nil, err
	}
	batch.Then = append(batch.Then, store.Op{Put: record})
	how := spend.how
	how.Person, how.Level, how.Family = f.person(), grant.Level, f.id
	if err := s.keep(ctx, grant, how, token, c.client.Rate, spend.jti, batch); err != nil {
		return nil, err
	}
	s.Logger.LogAttrs(ctx, slog.LevelInfo, "token issued",
		slog.String("client", f.Client), slog.String("grant", how.Grant), slog.String("token", tokenName(token)),
		slog.String("level", grant.Level), slog.String("family", f.id), slog.Int("refresh_count", f.Count))
	return answer, nil
}

func earliest(first time.Time, others ...time.Time) time.Time {
	for _, other := range others {
		if other.Before(first) {
			first = other
		}
	}
	return first
}

// secretClient finds the client that the form names and that proves itself by its secret.
func (s *Service) secretClient(c *call) error {
	id, secret := c.form.Get(paramClientID), c.form.Get(paramClientSecret)
	switch {
	case id == "":
		return tell(refused("client_id is missing"))
	case secret == "":
		return tell(refused("client_secret is missing"))
	}
	client, known := s.Clients[id]
	if right := sameSecret(secret, client.Secret); !known || !right {
		return &Error{Status: http.StatusUnauthorized, Code: codeClient, Description: "client_id or client_secret is invalid"}
	}
	c.id, c.client = id, client
	c.proven()
	return nil
}

// knownClient is the client of a request, once it is one of ours.
func (c *call) knownClient() string {
	id := c.id
	if id == "" && c.assertion != nil {
		id = c.assertion.client()
	}
	if _, known := c.Clients[id]; known {
		return id
	}
	return ""
}

func invalidGrant(status int, description string) *Error {
	return &Error{Status: status, Code: codeGrant, Description: description}
}

// conflicted says whether a commit lost against another.
func conflicted(err error) bool {
	_, conflict := errors.AsType[*store.Conflict](err)
	return conflict
}
