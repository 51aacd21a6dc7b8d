// The program go is a client of the Signing Service in Go. It uses the packages client and jwks of this module.
//
//	go run github.com/seed-dd2befc3/countersign/examples/clients/go payload.xml…
//
// Each file holds one payload, a canonical SignedInfo. The rest is in the environment; see ../README.md.
// Exit code: 0 signed, 3 not signed (cancelled, expired or failed), 1 anything else.
package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/jwks"
)

const patience = 35 * time.Minute // the page is open for 30 minutes by default

// app is this client system.
type app struct {
	*client.Client
	tokenURL, sub, algorithm string
	idToken                  string // file of the person's ID token, for services that require a user; may be empty
	poll                     time.Duration

	mu          sync.Mutex
	accessToken string
	until       time.Time

	listener
}

func newApp() (*app, error) {
	signer, err := jwks.ReadSigner(os.Getenv("KID"), os.Getenv("KEY"))
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.ParseFloat(setting("POLL", "5"), 64)
	if err != nil {
		return nil, fmt.Errorf("POLL: %w", err)
	}
	a := &app{
		Client:   &client.Client{ID: os.Getenv("CLIENT_ID"), Signer: signer, BaseURL: os.Getenv("SIGNING_URL")},
		tokenURL: os.Getenv("TOKEN_URL"), sub: os.Getenv("SUB"), algorithm: setting("ALGORITHM", client.RS256), idToken: os.Getenv("ID_TOKEN"),
		poll:     time.Duration(seconds * float64(time.Second)),
		listener: listener{state: rand.Text(), news: make(chan struct{}, 1), seen: map[string]bool{}, jwks: os.Getenv("SIGNING_URL") + "/jwks.json"},
	}
	a.Authorize = a.authorize
	return a, nil
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// [retry] After a lost answer, 429 or 503, send the same request again. Wait as long as Retry-After says.
func untilAnswered[T any](ctx context.Context, limit time.Duration, send func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		got, err := send(ctx)
		var refused *client.Error
		isRefused := errors.As(err, &refused)
		busy := isRefused && (refused.Status == http.StatusTooManyRequests || refused.Status == http.StatusServiceUnavailable)
		if !busy && !errors.Is(err, client.ErrUnreachable) { // unreachable: the request may have arrived or not
			return got, err
		}
		wait := time.Second
		if busy && refused.RetryAfter > 0 {
			wait = refused.RetryAfter
		}
		fmt.Fprintln(os.Stderr, "again:", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return got, err
		}
	}
}

// [/retry]

// [token] Exchange a signed JWT for an access token. Keep the token until shortly before it expires.
func (a *app) token(ctx context.Context) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Now().Before(a.until) {
		return a.accessToken, nil
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
	if a.idToken != "" {
		subject, err := os.ReadFile(a.idToken)
		if err != nil {
			return "", err
		}
		form.Set("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
		form.Set("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")
		form.Set("subject_token", strings.TrimSpace(string(subject)))
	}
	assertion, err := a.Signer.Mint(map[string]any{ // good once
		"iss": a.ID, "sub": a.ID, "aud": a.tokenURL, "jti": uuid.NewString(), "exp": time.Now().Add(4 * time.Minute).Unix(),
	})
	if err != nil {
		return "", err
	}
	form.Set("client_assertion", assertion)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := exchange(request)
	if err != nil {
		return "", fmt.Errorf("%w: %w", client.ErrUnreachable, err)
	}
	var got struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   string `json:"expires_in"` // all values are strings
		Code        string `json:"error"`
		Description string `json:"error_description"`
		MessageID   string `json:"message_id"`
	}
	if err := json.Unmarshal(body, &got); err != nil || status != http.StatusOK {
		return "", &client.Error{Status: status, Code: got.Code, Message: got.Description, RequestID: got.MessageID}
	}
	life, err := strconv.Atoi(got.ExpiresIn)
	a.accessToken, a.until = got.AccessToken, time.Now().Add(time.Duration(life)*time.Second*8/10)
	return a.accessToken, err
}

func (a *app) authorize(ctx context.Context, request *http.Request) error {
	token, err := a.token(ctx)
	request.Header.Set("Authorization", "Bearer "+token)
	return err
}

// [/token]

func exchange(request *http.Request) (status int, body []byte, err error) {
	response, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, body, err
}

// [call] Send the token with every call. After 401 get a new one, once. 403 means that another kind of token is needed.
func call[T any](ctx context.Context, a *app, limit time.Duration, send func(context.Context) (T, error)) (T, error) {
	got, err := untilAnswered(ctx, limit, send)
	var refused *client.Error
	if errors.As(err, &refused) && refused.Status == http.StatusUnauthorized && refused.Code == "access_token" {
		a.mu.Lock()
		a.until = time.Time{}
		a.mu.Unlock()
		got, err = untilAnswered(ctx, limit, send)
	}
	return got, err
}

// [/call]

// [request] One JWT asks for 1 to 250 signatures. The same JWT sent again is the same request.
func (a *app) ask(ctx context.Context, payloads []client.Payload) (client.Ticket, error) {
	jwt, err := a.Prepare(a.sub, a.algorithm, payloads)
	if err != nil {
		return client.Ticket{}, err
	}
	return call(ctx, a, 10*time.Minute, func(ctx context.Context) (client.Ticket, error) { return a.Send(ctx, jwt, a.state) })
}

// [/request]

// [fetch] 200: signed. 400 not_opened and 404 not_signed: not yet. 410: it will never be signed.
func (a *app) fetch(ctx context.Context, token string) (response client.Response, signed bool, err error) {
	response, err = call(ctx, a, 2*time.Minute, func(ctx context.Context) (client.Response, error) { return a.Fetch(ctx, token) })
	var refused *client.Error
	if errors.As(err, &refused) && (refused.Code == "not_opened" || refused.Code == "not_signed") {
		return response, false, nil
	}
	return response, err == nil, err
}

// [/fetch]

// [poll] Wait for news, and poll every few seconds as well: the browser may be closed, or a webhook late.
func (a *app) wait(ctx context.Context, token string) (client.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if response, signed, err := a.fetch(ctx, token); signed || err != nil {
			return response, err
		}
		select {
		case <-a.news:
		case <-time.After(a.poll):
		case <-ctx.Done():
			return client.Response{}, errors.New("nobody has signed in time")
		}
	}
}

// [/poll]

// [assemble] The finished XML signature: the payload as it was signed, the signature, the certificate.
func assemble(payload []byte, signature, certificate string) []byte {
	return []byte(`<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">` + string(payload) +
		`<SignatureValue>` + signature + `</SignatureValue><KeyInfo><X509Data><X509Certificate>` + certificate +
		`</X509Certificate></X509Data></KeyInfo></Signature>`)
}

// [/assemble]

func (a *app) run(ctx context.Context, files []string) error {
	payloads := make([]client.Payload, len(files))
	texts := make([][]byte, len(files))
	for i, file := range files {
		var err error
		if texts[i], err = os.ReadFile(file); err != nil {
			return err
		}
		id := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		payloads[i] = client.Payload{ID: id, Payload: base64.StdEncoding.EncodeToString(texts[i])}
	}
	a.accepted.HandleFunc("GET /signed", a.comesBack)
	a.accepted.HandleFunc("POST /webhook", a.isTold)
	at, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:"+setting("LISTEN", "9090"))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: &a.accepted, ReadHeaderTimeout: 10 * time.Second}
	defer func() { _ = server.Close() }()
	go func() { _ = server.Serve(at) }() // ends with the program

	ticket, err := a.ask(ctx, payloads)
	if err != nil {
		return err
	}
	a.listener.mu.Lock()
	a.awaited = ticket.Token
	a.listener.mu.Unlock()
	fmt.Fprintln(os.Stdout, "open", ticket.RedirectURI) // send the person's browser there
	response, err := a.wait(ctx, ticket.Token)
	if err != nil {
		return err
	}
	// [verify] RSASSA-PKCS1-v1_5, with SHA-256 for RS256 and SHA-1 for RS1, over the unchanged bytes of the payload.
	if _, err := client.Verify(a.algorithm, payloads, response); err != nil {
		return err
	}
	// [/verify]
	for i, payload := range payloads {
		signed := assemble(texts[i], response.Signatures[i].Signature, response.Certificate)
		if err := os.WriteFile(payload.ID+".signed.xml", signed, 0o600); err != nil {
			return err
		}
	}
	fmt.Fprintln(os.Stdout, "signed", len(payloads))
	return nil
}

func main() {
	a, err := newApp()
	if err == nil {
		err = a.run(context.Background(), os.Args[1:])
	}
	var refused *client.Error
	switch {
	case err == nil:
	case errors.As(err, &refused) && refused.Status == http.StatusGone:
		fmt.Fprintf(os.Stderr, "not signed: %d %s: %s (request %s)\n", refused.Status, refused.Code, refused.Message, refused.RequestID)
		os.Exit(3)
	case errors.As(err, &refused):
		fmt.Fprintf(os.Stderr, "error: %d %s: %s (request %s)\n", refused.Status, refused.Code, refused.Message, refused.RequestID)
		os.Exit(1)
	default:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
