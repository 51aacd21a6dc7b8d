package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/outbound"
)

const (
	assertionLife = 240 * time.Second // BAR-2.1
	maxAnswer     = 64 << 10          // bytes of the token service's answer
	defaultLife   = 60 * time.Second  // of a token whose answer does not say
)

// TokenError is a refusal by the token service.
type TokenError struct {
	Status      int
	Code        string // the member error
	Description string // the member error_description
	MessageID   string // for the service's operator
}

func (e *TokenError) Error() string {
	text := fmt.Sprintf("the token service answered %d", e.Status)
	if e.Code != "" {
		text += fmt.Sprintf(" %s: %s", e.Code, e.Description)
	}
	if e.MessageID != "" {
		text += " (message_id " + e.MessageID + ")"
	}
	return text
}

// NoMatchingKey says that the key is not, or not yet, among those the token service knows (row 22).
func (e *TokenError) NoMatchingKey() bool {
	return strings.Contains(e.Description, "no matching public key")
}

// KeysUnreachable says that the token service cannot fetch the client's key set at the moment (row 21).
func (e *TokenError) KeysUnreachable() bool {
	return e.Status == http.StatusForbidden && strings.Contains(e.Description, "can't be reached")
}

// assertionClaims are those of an assertion (BAR-2.1).
type assertionClaims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	ID       string `json:"jti"`
	Expires  int64  `json:"exp"`
}

// NewAssertion mints a client's assertion, which can be used once and for four minutes.
func NewAssertion(signer *jwks.Signer, clientID, audience string, now time.Time) (string, error) {
	return signer.Mint(assertionClaims{clientID, clientID, audience, uuid.NewString(), now.Add(assertionLife).Unix()})
}

// ask fetches one token, with an assertion of its own.
func (s *Source) ask(ctx context.Context, signer *jwks.Signer) (held, error) {
	now := s.Now()
	assertion, err := NewAssertion(signer, s.ClientID, s.Audience, now)
	if err != nil {
		return held{}, err
	}
	form := url.Values{
		paramGrantType: {grantClientCredentials}, paramAssertionType: {assertionTypeJWT}, paramAssertion: {assertion},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return held{}, errors.New("the token URL cannot be asked")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	response, err := s.http.Do(request) //nolint:bodyclose // ReadBody closes it
	if err != nil {
		return held{}, fmt.Errorf("asking for a token: %w", err)
	}
	body, err := outbound.ReadBody(response, maxAnswer)
	if err != nil {
		return held{}, fmt.Errorf("asking for a token: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return held{}, tokenError(response.StatusCode, body)
	}
	return readToken(body, now)
}

// tokenError reads a refusal, as far as it can be read.
func tokenError(status int, body []byte) *TokenError {
	var f failure
	e := &TokenError{Status: status}
	if json.Unmarshal(body, &f) == nil {
		e.Code, e.Description, e.MessageID = clipped(f.Error), clipped(f.Description), clipped(f.MessageID)
	}
	return e
}

// clipped keeps a stranger's text fit for a line of a log.
func clipped(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text[:min(len(text), 300)])
}

// readToken reads a success. expires_in is a string here and a number elsewhere.
func readToken(body []byte, asked time.Time) (held, error) {
	var answer struct {
		Token     string         `json:"access_token"`
		ExpiresIn jsontext.Value `json:"expires_in"`
		Type      string         `json:"token_type"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" || strings.ContainsAny(answer.Token, " \r\n\t") {
		return held{}, errors.New("the token service's answer holds no token")
	}
	if answer.Type != "" && !strings.EqualFold(answer.Type, "Bearer") {
		return held{}, errors.New("the token service's answer holds a token of another type than Bearer")
	}
	life := defaultLife
	text := string(answer.ExpiresIn)
	if quoted, ok := jwks.StringValue(answer.ExpiresIn); ok {
		text = quoted
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < 1e6 {
		life = time.Duration(seconds * float64(time.Second))
	}
	return held{token: answer.Token, refresh: asked.Add(life * 8 / 10), expires: asked.Add(life)}, nil
}
