package oauth

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/store"
)

// LevelApplication is the level of a token that an application holds without a user.
const LevelApplication = "level3"

// remembered is how long a token is known as expired after it expired.
const remembered = 10 * time.Minute

// Grant is what a token stands for.
type Grant struct {
	Client   string // the client id
	User     string // the user who is present; empty: none
	Level    string // LevelApplication, or a user's authentication level such as aal3
	Scopes   []string
	Products []string
	Issued   time.Time
	Expires  time.Time // the token is no longer valid at this time
}

// grantRecord is a Grant as it is kept.
type grantRecord struct {
	Client   string   `json:"c"`
	User     string   `json:"u,omitzero"`
	Level    string   `json:"l,omitzero"`
	Scopes   []string `json:"s,omitempty"`
	Products []string `json:"p,omitempty"`
	Issued   int64    `json:"i"` // ms since 1970
	Expires  int64    `json:"e"`
}

// record is what is kept for a token. It outlives the token, so that an expired one is told from one that
// never was.
func (g Grant) record(token string) (*store.Record, error) {
	value, err := json.Marshal(grantRecord{
		g.Client, g.User, g.Level, g.Scopes, g.Products, g.Issued.UnixMilli(), g.Expires.UnixMilli(),
	})
	if err != nil {
		return nil, errors.New("a grant cannot be encoded")
	}
	return &store.Record{Key: tokenKey(token), Value: value, Expires: g.Expires.Add(remembered)}, nil
}

func parseGrant(value []byte) (Grant, error) {
	var r grantRecord
	if err := json.Unmarshal(value, &r); err != nil {
		return Grant{}, errors.New("the record of a token cannot be read")
	}
	return Grant{
		r.Client, r.User, r.Level, r.Scopes, r.Products, time.UnixMilli(r.Issued).UTC(), time.UnixMilli(r.Expires).UTC(),
	}, nil
}

// tokenKey is where a token's record is. The token itself is nowhere.
func tokenKey(token string) string {
	sum := sha256.Sum256([]byte(token))
	return "token/" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// tokenName names a token in the log: the beginning of its hash.
func tokenName(token string) string { return tokenKey(token)[len("token/"):][:12] }
