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
	lifetime        = 10 * time.Minute // of a JWT: the longest that the service accepts, and what clients use
	defaultTimeout  = 30 * time.Second // of one exchange, if the caller gives no http.Client
	maxTicket       = 64 << 10         // bytes of the answer to a request, and of any error
	maxResponse     = 8 << 20          // bytes; enough for 250 signatures with any reasonable keys and ids
	maxToken        = 512              // bytes
)

// Client is one registered client system. ID, Signer and BaseURL are required. It is safe for concurrent use as long as it
// is not modified.
type Client struct {
	ID       string       // the client id, which is iss of the JWTs
	Signer   *jwks.Signer // the key registered at the service for ID
	BaseURL  string       // the service's URL, such as https://host/signing-service
	Audience string       // aud of the JWTs, which is the service's public URL; empty: BaseURL
	HTTP     *http.Client // nil: a client with a timeout of 30 s. CheckRedirect is ignored: redirects are not followed

	Now func() time.Time // nil: time.Now

	// Authorize adds what the service's access rules require, such as a bearer token, to each request before it is
	// sent. nil: nothing is added.
	Authorize func(ctx context.Context, req *http.Request) error
}

// claims of a signing request (SIG-1.6 to SIG-1.9).
type claims struct {
	ID        string    `json:"jti"` // makes two equal requests within one second different
	Issuer    string    `json:"iss"`
	Subject   string    `json:"sub"`
	Audience  string    `json:"aud"`
	IssuedAt  int64     `json:"iat"`
	Expires   int64     `json:"exp"`
	Algorithm string    `json:"algorithm"`
	Payloads  []Payload `json:"payloads"`
}

// Prepare returns a JWT that requests the payloads to be signed by sub, the SDS user id of the person who will sign. It
// can be sent for ten minutes, and is a new request even if its contents are the same as before. The service decides
// whether to accept it.
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

// Ticket is the service's answer to an accepted request.
type Ticket struct {
	Token       string `json:"token"`       // identifies the request; a secret of client, browser and service
	RedirectURI string `json:"redirectUri"` // where the user's browser goes to sign
}

// Send sends a JWT to the service. state is an opaque value of the client that comes back with the browser; empty: none.
// After ErrUnreachable the same JWT may be sent again with the same state, and gives the same Ticket.
func (c *Client) Send(ctx context.Context, jwt, state string) (Ticket, error) {
	address := c.address("/signaturerequest")
	if state != "" {
		// The service reads "+" as a plus sign, never as a space (SIG-1.3).
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

// Fetch returns the signatures of a request. Until the person has signed, the error is an *Error with status 400 or 404;
// after a failure, a cancellation or expiry it is one with status 410.
func (c *Client) Fetch(ctx context.Context, token string) (Response, error) {
	if !tokenLike(token) {
		return Response{}, errors.New("malformed token: want the token of a Ticket")
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

// errBaseURL replaces the library's error, which quotes the address.
var errBaseURL = errors.New("the Signing Service's address is not a URL")

func (c *Client) address(path string) string {
	return strings.TrimSuffix(c.BaseURL, "/") + path
}

// tokenLike accepts a UUID, or base64 of any kind, but nothing with a meaning in a path.
func tokenLike(token string) bool {
	return token != "" && len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("-_+/=", r)
	})
}

// do sends a request and decodes the JSON of a 200 into answer.
func (c *Client) do(req *http.Request, limit int64, answer any) error {
	req.Header.Set("Accept", "application/json")
	req.Header.Set(headerRequestID, uuid.NewString())
	if c.Authorize != nil {
		if err := c.Authorize(req.Context(), req); err != nil {
			return fmt.Errorf("authorizing the request: %w", err)
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
		return errors.New("the Signing Service's answer is not the expected JSON")
	}
	return nil
}

// reply is a complete answer.
type reply struct {
	status     int
	requestID  string // from the service, or else the one that was sent
	retryAfter time.Duration
	body       []byte
}

// exchange sends a request and reads its whole answer, up to limit bytes. If an error answer is longer than 64 KiB, only
// its status is kept.
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

// direct returns a copy of the caller's client, or a default one, that follows no redirects.
func direct(from *http.Client) *http.Client {
	client := &http.Client{Timeout: defaultTimeout}
	if from != nil {
		*client = *from
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}
