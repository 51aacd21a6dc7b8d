package oauth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/store"
)

// codeLife is how long a client has to redeem a code.
const codeLife = 2 * time.Minute

// codeRecord is what a code stands for. A used one is kept for as long as its tokens can be, so that whoever
// brings it again ends them (RFC 6749 §4.1.2).
type codeRecord struct {
	Client    string    `json:"client"`
	Redirect  string    `json:"redirect"`
	Challenge string    `json:"challenge,omitempty"` // of the client's PKCE, S256
	Family    string    `json:"family"`
	Expires   time.Time `json:"expires"`
	Used      bool      `json:"used,omitempty"`
}

func codeKey(code string) string { return secretKey("code/", code) }

// redeemCode is the grant authorization_code, in the order of TOK-5.3 to TOK-5.7.
func (s *Service) redeemCode(ctx context.Context, c *call) (any, error) {
	if err := s.secretClient(c); err != nil {
		return nil, err
	}
	redirect, code := c.form.Get(paramRedirectURI), c.form.Get(paramCode)
	switch {
	case redirect == "":
		return nil, tell(bad("redirect_uri is missing"))
	case !slices.Contains(c.client.RedirectURIs, redirect):
		return nil, tell(bad("redirect_uri is invalid"))
	case code == "":
		return nil, tell(bad("authorization_code is missing"))
	}
	key := codeKey(code)
	for range settleTries {
		found, err := s.Store.Get(ctx, key)
		if err != nil {
			return nil, err
		}
		kept, err := s.checkCode(ctx, c, found[0], redirect)
		if err != nil {
			return nil, err
		}
		answer, err := s.spendCode(ctx, c, found[0], kept)
		if !conflicted(err) {
			return answer, err
		}
	}
	return nil, fmt.Errorf("%w: a code changed %d times while it was redeemed", errContended, settleTries)
}

// checkCode says what the code stands for, or why it stands for nothing here.
func (s *Service) checkCode(ctx context.Context, c *call, found store.Record, redirect string) (codeRecord, error) {
	wrong := func(why string) error {
		return invalidGrant(http.StatusBadRequest, "authorization_code is invalid").withDetail(why)
	}
	var kept codeRecord
	if found.Version == 0 {
		return kept, wrong("the code is not known")
	}
	if err := json.Unmarshal(found.Value, &kept); err != nil {
		return kept, fmt.Errorf("the record of a code cannot be read: %w", errGrant)
	}
	switch {
	case kept.Client != c.id:
		return kept, wrong("the code is another client's")
	case kept.Used:
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "a used code came again; its tokens are revoked",
			slog.String("client", kept.Client), slog.String("family", kept.Family))
		if err := s.revoke(ctx, kept.Family); err != nil {
			return kept, err
		}
		return kept, wrong("the code was used before; its tokens are revoked")
	case !s.Now().Before(kept.Expires):
		return kept, wrong("the code has expired")
	case kept.Redirect != redirect:
		return kept, wrong("the code was sent to another redirect_uri")
	}
	return kept, proves(c.form.Get(paramVerifier), kept.Challenge, wrong)
}

// proves holds a verifier to the challenge (RFC 7636 §4.6): where there was one it must be met, and where there was
// none a verifier shows that somebody took it out on the way (RFC 9700 §4.8.2).
func proves(verifier, challenge string, wrong func(string) error) error {
	switch {
	case challenge == "" && verifier == "":
		return nil
	case challenge == "":
		return wrong("code_verifier is sent, but /authorize got no code_challenge")
	case verifier == "":
		return wrong("code_verifier is missing, and /authorize got a code_challenge")
	}
	sum := sha256.Sum256([]byte(verifier))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) != 1 {
		return wrong("code_verifier is not that of the code_challenge")
	}
	return nil
}

// spendCode uses the code up in the commit that makes its tokens.
func (s *Service) spendCode(ctx context.Context, c *call, found store.Record, kept codeRecord) (any, error) {
	f, err := s.family(ctx, kept.Family)
	if err != nil {
		return nil, err
	}
	if f == nil {
		return nil, invalidGrant(http.StatusBadRequest, "authorization_code is invalid").withDetail("the sign-in was ended")
	}
	f.Ends = s.Now().Add(refreshWindow) // which begins with the first token
	begun, err := f.put()
	if err != nil {
		return nil, err
	}
	kept.Used = true
	value, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	spend := spending{how: AuditRecord{Grant: grantCode}, batch: store.Batch{
		If:   []store.Check{{Key: found.Key, Version: found.Version}, {Key: familyKey(f.id), Version: f.version}},
		Then: append(begun, store.Op{Put: &store.Record{Key: found.Key, Value: value, Expires: f.Ends.Add(reuseRemembered)}}),
	}}
	answer, err := s.issueUser(ctx, c, f, spend)
	if err != nil { // no typed nil may become an answer
		return nil, err
	}
	if s.TellSID {
		answer.SID = f.SID
	}
	return answer, nil
}
