package client

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestPrepareMakesTheJWT(t *testing.T) {
	signer, public := signer(t)
	now := time.Unix(1_790_000_000, 999)
	c := &Client{ID: "demo-epr", Signer: signer, BaseURL: "https://gateway/signing-service", Now: func() time.Time { return now }}
	asked := payloads(t, RS256, 2)
	jwt, err := c.Prepare("555086689106", RS256, asked)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		t.Fatalf("got a JWT of %d parts, want 3", len(parts))
	}
	var header struct{ Typ, Alg, Kid string }
	var got claims
	var signature []byte
	for i, into := range []any{&header, &got, nil} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if into == nil {
			signature = raw
		} else if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	if header.Typ != "JWT" || header.Alg != "RS512" || header.Kid != "demo-epr-1" {
		t.Errorf("got header %+v", header)
	}
	sum := sha512.Sum512([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA512, sum[:], signature); err != nil {
		t.Error(err)
	}
	if got.Issuer != "demo-epr" || got.Subject != "555086689106" || got.Audience != "https://gateway/signing-service" ||
		got.IssuedAt != 1_790_000_000 || got.Expires != got.IssuedAt+600 || got.Algorithm != RS256 ||
		len(got.Payloads) != 2 || got.Payloads[1] != asked[1] {
		t.Errorf("got claims %+v", got)
	}

	if twin, err := c.Prepare("555086689106", RS256, asked); err != nil || twin == jwt {
		t.Errorf("preparing twice within a second: got equal JWTs or error %v, want different ones", err)
	}

	c.Audience = "https://public/signing-service"
	jwt, err = c.Prepare("555086689106", RS256, asked)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := base64.RawURLEncoding.DecodeString(strings.Split(jwt, ".")[1])
	if !strings.Contains(string(body), `"aud":"https://public/signing-service"`) {
		t.Error("JWT does not have the Audience that was set")
	}
}

// service starts a server with the given answers, and returns a client of it.
func service(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &Client{ID: "demo-epr", BaseURL: server.URL + "/signing-service", HTTP: server.Client()}
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestSend(t *testing.T) {
	c := service(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, err := uuid.Parse(r.Header.Get("X-Request-Id"))
		if r.Method != http.MethodPost || r.RequestURI != "/signing-service/signaturerequest?state=e30%3D%2B%20%26x" ||
			r.Header.Get("Content-Type") != "text/plain" || string(body) != "a.b.c" || err != nil ||
			r.Header.Get("Authorization") != "Bearer t" {
			t.Errorf("got %s %s with header %v and body %s", r.Method, r.RequestURI, r.Header, body)
		}
		answer(200, `{"token":"t1","redirectUri":"https://gateway/signing-service/client?token=t1","new":1}`)(w, r)
	})
	c.Authorize = func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer t")
		return nil
	}
	ticket, err := c.Send(t.Context(), "a.b.c", "e30=+ &x")
	if err != nil || ticket != (Ticket{"t1", "https://gateway/signing-service/client?token=t1"}) {
		t.Errorf("got ticket %+v, %v", ticket, err)
	}

	c = service(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.RequestURI != "/signing-service/signaturerequest" {
			t.Errorf("got URI %s without a state", r.RequestURI)
		}
	})
	if _, err := c.Send(t.Context(), "a.b.c", ""); err == nil {
		t.Error("empty answer: got no error, want one")
	}
	c.Authorize = func(context.Context, *http.Request) error { return errors.New("no access token") }
	if _, err := c.Send(t.Context(), "a.b.c", ""); err == nil || !strings.Contains(err.Error(), "no access token") {
		t.Errorf("%v", err)
	}
}

func TestSendRefusesAnswersThatLeadNowhere(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":             `<html>`,
		"a name twice":         `{"token":"a","token":"b","redirectUri":"https://h/"}`,
		"no token":             `{"redirectUri":"https://h/client"}`,
		"no address":           `{"token":"t"}`,
		"a relative address":   `{"token":"t","redirectUri":"/client"}`,
		"a script":             `{"token":"t","redirectUri":"javascript://h/%0aalert(1)"}`,
		"a very long token":    `{"token":"` + strings.Repeat("t", 600) + `","redirectUri":"https://h/"}`,
		"more than is sane":    `{"token":"t","redirectUri":"https://h/","x":"` + strings.Repeat("x", 70<<10) + `"}`,
		"an array":             `[]`,
		"something after JSON": `{"token":"t","redirectUri":"https://h/"} x`,
	} {
		if ticket, err := service(t, answer(200, body)).Send(t.Context(), "a.b.c", "s"); err == nil || ticket != (Ticket{}) {
			t.Errorf("%s: got %+v, %v", name, ticket, err)
		}
	}
}

func TestErrorsOfTheService(t *testing.T) {
	long := strings.Repeat("m", 600)
	for _, c := range []struct {
		name, body, header string
		status             int
		want               Error
	}{
		{"its shape", `{"statusCode":400,"error":"Bad Request","message":"JWT payload is not valid.","code":"claims","requestId":"r-1"}`, "", 400,
			Error{400, "claims", "JWT payload is not valid.", "r-1", 0, "", nil}},
		{"the real service's, without code", `{"statusCode":404,"error":"Not Found","message":"No signature request for specified token"}`, "r-2", 404,
			Error{404, "", "No signature request for specified token", "r-2", 0, "", nil}},
		{"with a reason", `{"statusCode":410,"error":"Gone","message":"The signature request has been cancelled","code":"cancelled","requestId":"r-8","reason":{"code":"wrong_user","text":"t"}}`, "", 410,
			Error{410, "cancelled", "The signature request has been cancelled", "r-8", 0, ReasonWrongUser, nil}},
		{"with the items that are wrong", `{"statusCode":410,"error":"Gone","message":"m","code":"cancelled","requestId":"r-9","reason":{"code":"declined","text":"t","ids":["rx-2","rx-5"]}}`, "", 410,
			Error{410, "cancelled", "m", "r-9", 0, ReasonDeclined, []string{"rx-2", "rx-5"}}},
		{"a gateway's page", `<html>`, "r-3", 502, Error{502, "", "Bad Gateway", "r-3", 0, "", nil}},
		{"a redirect", ``, "r-4", 307, Error{307, "", "Temporary Redirect", "r-4", 0, "", nil}},
		{"another success", `{}`, "r-5", 202, Error{202, "", "Accepted", "r-5", 0, "", nil}},
		{"a long text with line breaks", `{"message":"a\nb` + long + `","requestId":"r-6"}`, "", 400, Error{400, "", "a b" + long[:497], "r-6", 0, "", nil}},
		{"more than is sane", `{"message":"` + strings.Repeat("x", 70<<10) + `"}`, "r-7", 500, Error{500, "", "Internal Server Error", "r-7", 0, "", nil}},
	} {
		client := service(t, func(w http.ResponseWriter, r *http.Request) {
			if c.header != "" {
				w.Header().Set("X-Request-Id", c.header)
			}
			w.Header().Set("Location", "/elsewhere")
			answer(c.status, c.body)(w, r)
		})
		_, err := client.Fetch(t.Context(), "t1")
		var got *Error
		if !errors.As(err, &got) || !reflect.DeepEqual(*got, c.want) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if _, err := service(t, answer(500, "")).Fetch(t.Context(), "t1"); !strings.Contains(err.Error(), "answered 500") {
		t.Error(err)
	}
}

func TestFetch(t *testing.T) {
	c := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.RequestURI != "/signing-service/signatureresponse/a%2Fb+c=" || r.Header.Get("X-Request-Id") == "" {
			t.Errorf("got %s %s", r.Method, r.RequestURI)
		}
		answer(200, `{"signatures":[{"id":"1","signature":"AA=="}],"certificate":"BB=="}`)(w, r)
	})
	response, err := c.Fetch(t.Context(), "a/b+c=")
	if err != nil || response.Certificate != "BB==" || len(response.Signatures) != 1 || response.Signatures[0] != (Signature{"1", "AA=="}) {
		t.Errorf("got response %+v, %v", response, err)
	}
	for _, token := range []string{"", "..", "a b", "a?b", "a\nb", "a%2e", strings.Repeat("a", 600)} {
		if _, err := c.Fetch(t.Context(), token); err == nil {
			t.Errorf("malformed token %q was sent", token)
		}
	}
	for _, body := range []string{`{"signatures":[{"id":"1","id":"2"}]}`, `{"signatures":"x"}`, ``} {
		if _, err := service(t, answer(200, body)).Fetch(t.Context(), "t1"); err == nil {
			t.Errorf("answer %q: got no error, want one", body)
		}
	}
}

func TestUnreachable(t *testing.T) {
	cut := service(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"token":`)
		panic(http.ErrAbortHandler)
	})
	for name, c := range map[string]*Client{
		"refused":      {BaseURL: "http://127.0.0.1:1"},
		"lost halfway": cut,
	} {
		_, err := c.Send(t.Context(), "a.b.c", "secret-state")
		if !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", name, err)
		}
		_, err = c.Fetch(t.Context(), "secret-token")
		if !errors.Is(err, ErrUnreachable) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := (&Client{BaseURL: "http://h:x"}).Fetch(t.Context(), "secret"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("invalid address: got %v", err)
	}
}

// A busy service says how long to wait, and the client bounds that.
func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "999999": maxRetryAfter, "soon": 0, "-1": 0} {
		c := service(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", header)
			answer(503, `{"statusCode":503,"code":"unavailable","message":"later"}`)(w, r)
		})
		_, err := c.Send(t.Context(), "a.b.c", "")
		var refused *Error
		if !errors.As(err, &refused) || refused.RetryAfter != want {
			t.Errorf("Retry-After %q: got %+v, want %s", header, refused, want)
		}
	}
}
