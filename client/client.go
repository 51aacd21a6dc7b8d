package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/jwks"
)

const (
	headerRequestID = "X-Request-Id"
	lifetime        = 10 * time.Minute // of a JWT: the most the service takes, and what clients send
	defaultTimeout  = 30 * time.Second // of one exchange, where the caller brings no http.Client
	maxTicket       = 64 << 10         // bytes of the answer to a request, and of any error
	maxResponse     = 8 << 20          // bytes of 250 signatures with keys and ids of any sensible length
	maxToken        = 512              // bytes
)

// Client is one registered client system. ID, Signer and BaseURL must be set; it may be used by many
// goroutines and must not be changed while it is.
type Client struct {
	ID       string       // the client id: iss of the JWTs
	Signer   *jwks.Signer // the key that the service knows for ID
	BaseURL  string       // of the service, such as https://host/signing-service
	Audience string       // aud of the JWTs, the service's public URL; empty: BaseURL
	HTTP     *http.Client // nil: one with a timeout of 30 s. Its CheckRedirect is not used: none is followed

	Now func() time.Time // nil: time.Now

	// Authorize adds what the service's access rules ask for, such as a bearer token, to a request about
	// to be sent. nil: nothing.
	Authorize func(ctx context.Context, req *http.Request) error
}

// claims of a signing request (SIG-1.6 to SIG-1.9).
type claims struct {
	ID        string    `json:"jti"` // so that the same, asked for twice in a second, is two requests
	Issuer    string    `json:"iss"`
	Subject   string    `json:"sub"`
	Audience  string    `json:"aud"`
	IssuedAt  int64     `json:"iat"`
	Expires   int64     `json:"exp"`
	Algorithm string    `json:"algorithm"`
	Payloads  []Payload `json:"payloads"`
}

// Prepare makes the JWT that asks for the payloads to be signed by sub, the SDS user id of the person who
// will sign. It can be sent for ten minutes, and is a request of its own, whatever was asked before. Whether the service
// takes it is for the service to say.
func (c *Client) Prepare(sub, algorithm string, payloads []Payload) (jwt string, err error) {
	now := time.Now
	if c.Now != nil {
		now = c.Now
	}
	issued := now()
	audience := c.Audience
	if audience == "" {
		audience = c.BaseURL
	}
	return c.Signer.Mint(claims{
		ID:        rand.Text(),
		Issuer:    c.ID,
		Subject:   sub,
		Audience:  audience,
		IssuedAt:  issued.Unix(),
		Expires:   issued.Add(lifetime).Unix(),
		Algorithm: algorithm,
		Payloads:  payloads,
	})
}

// Ticket is the service's promise to have a request signed.
type Ticket struct {
	Token       string `json:"token"`       // names the request; a secret between client, browser and service
	RedirectURI string `json:"redirectUri"` // where the user's browser goes to sign
}

// Send hands a JWT to the service. state is the client's own and comes back with the browser; empty: none.
// After ErrUnreachable the same JWT with the same state may be sent again and gives the same Ticket.
func (c *Client) Send(ctx context.Context, jwt, state string) (Ticket, error) {
	address := c.address("/signaturerequest")
	if state != "" {
		// A "+" is a plus sign to the service, never a space (SIG-1.3).
		address += "?state=" + strings.ReplaceAll(url.QueryEscape(state), "+", "%20")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(jwt))
	if err != nil {
		return Ticket{}, errBaseURL
	}
	req.Header.Set("Content-Type", "text/plain")
	var ticket Ticket
	if err := c.do(req, maxTicket, &ticket); err != nil {
		return Ticket{}, err
	}
	if there, err := url.Parse(ticket.RedirectURI); err != nil || ticket.Token == "" || len(ticket.Token) > maxToken ||
		there.Host == "" || there.Scheme != "https" && there.Scheme != "http" {
		return Ticket{}, errors.New("the Signing Service's answer has no usable token and redirectUri")
	}
	return ticket, nil
}

// Fetch gets the signatures of a request. While the person has not signed, the service answers with an
// *Error of status 400 or 404; after a failure, a cancellation or too long a wait, with one of 410.
func (c *Client) Fetch(ctx context.Context, token string) (Response, error) {
	if !tokenLike(token) {
		return Response{}, errors.New("what was given as a token is none")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.address("/signatureresponse/")+url.PathEscape(token), nil)
	if err != nil {
		return Response{}, errBaseURL
	}
	var response Response
	if err := c.do(req, maxResponse, &response); err != nil {
		return Response{}, err
	}
	return response, nil
}

// errBaseURL stands in for the library's error, which quotes the address.
var errBaseURL = errors.New("the Signing Service's address is not a URL")

func (c *Client) address(path string) string {
	return strings.TrimSuffix(c.BaseURL, "/") + path
}

// tokenLike takes a UUID, or base64 of any kind; nothing that could mean something in a path.
func tokenLike(token string) bool {
	return token != "" && len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("-_+/=", r)
	})
}

// do sends a request and reads the JSON of a 200 into answer.
func (c *Client) do(req *http.Request, limit int64, answer any) error {
	req.Header.Set("Accept", "application/json")
	req.Header.Set(headerRequestID, uuid.NewString())
	if c.Authorize != nil {
		if err := c.Authorize(req.Context(), req); err != nil {
			return fmt.Errorf("authorising the request: %w", err)
		}
	}
	got, err := exchange(direct(c.HTTP), req, limit)
	if err != nil {
		return err
	}
	if got.status != http.StatusOK {
		return got.failure()
	}
	if err := json.Unmarshal(got.body, answer); err != nil {
		// The library's error may quote the answer.
		return errors.New("the Signing Service's answer is not the JSON it should be")
	}
	return nil
}

// reply is a whole answer.
type reply struct {
	status     int
	requestID  string // the service's, or else the one that was sent
	retryAfter time.Duration
	body       []byte
}

// exchange sends a request and reads its whole answer, up to limit bytes. Of an error that is longer than
// 64 KiB only the status is kept.
func exchange(client *http.Client, req *http.Request, limit int64) (reply, error) {
	resp, err := client.Do(req)
	if err != nil {
		return reply{}, unreachable(err)
	}
	defer resp.Body.Close()
	got := reply{status: resp.StatusCode, requestID: resp.Header.Get(headerRequestID)}
	if got.requestID == "" {
		got.requestID = req.Header.Get(headerRequestID)
	}
	if seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31); err == nil {
		got.retryAfter = time.Duration(seconds) * time.Second
	}
	if got.status != http.StatusOK {
		limit = maxTicket
	}
	got.body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch long := int64(len(got.body)) > limit; {
	case err != nil:
		return reply{}, unreachable(err)
	case long && got.status != http.StatusOK:
		got.body = nil
	case long:
		return reply{}, fmt.Errorf("the Signing Service's answer is longer than %d bytes", limit)
	}
	return got, nil
}

// direct is the caller's client, or a default, that follows no redirect.
func direct(from *http.Client) *http.Client {
	client := &http.Client{Timeout: defaultTimeout}
	if from != nil {
		*client = *from
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}
