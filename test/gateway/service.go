package gateway

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Payload is one item of a signing request: what is to be signed, under the client's id for it.
type Payload struct {
	ID      string `json:"id"`
	Payload string `json:"payload"` // base64
}

// System is a client system: who it is, its key, and the Signing Service it speaks to.
type System struct {
	Base string // of the Signing Service, without a trailing slash
	ID   string // iss
	Kid  string
	Key  Key
	Sub  string // the person who will sign
}

// Accepted is the answer to a request for signatures.
type Accepted struct {
	Token       string `json:"token"`
	RedirectURI string `json:"redirectUri"`
}

// Signed is the answer to a fetch of signatures.
type Signed struct {
	Signatures []struct {
		ID        string `json:"id"`
		Signature string `json:"signature"`
	} `json:"signatures"`
	Certificate string `json:"certificate"` // base64 of DER
}

// Header is what a correct JWT of the system starts with; change what the test is about.
func (s System) Header() map[string]any {
	return map[string]any{"typ": "JWT", "alg": "RS512", "kid": s.Kid}
}

// Claims are correct claims over the payloads; change what the test is about. A jti makes each request another
// one, even within a second; the service asks for none.
func (s System) Claims(algorithm string, payloads ...Payload) map[string]any {
	now := time.Now().Unix()
	return map[string]any{
		"iss": s.ID, "sub": s.Sub, "aud": s.Base, "iat": now, "exp": now + 600,
		"algorithm": algorithm, "payloads": payloads, "jti": rand.Text(),
	}
}

// JWT is a correct request over the payloads.
func (s System) JWT(t testing.TB, algorithm string, payloads ...Payload) string {
	t.Helper()
	return s.Key.JWT(t, s.Header(), s.Claims(algorithm, payloads...))
}

// Post sends a JWT with a raw state: what follows "state=" in the query, byte for byte; empty for none.
func (s System) Post(t testing.TB, jwt, rawState string) Answer {
	t.Helper()
	query := ""
	if rawState != "" {
		query = "?state=" + rawState
	}
	return s.PostAs(t, "text/plain", query, []byte(jwt))
}

// PostAs is a POST to /signaturerequest of any kind, with more headers: a name, a value, and so on.
func (s System) PostAs(t testing.TB, contentType, query string, body []byte, headers ...string) Answer {
	t.Helper()
	request, err := http.NewRequest(http.MethodPost, s.Base+"/signaturerequest"+query, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("x-request-id", "req-1")
	request.Header.Set("x-correlation-id", "corr-1")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return do(t, newHTTP(), request)
}

// Request has the payloads accepted, or the test ends.
func (s System) Request(t testing.TB, algorithm, rawState string, payloads ...Payload) Accepted {
	t.Helper()
	return s.Accepted(t, s.Post(t, s.JWT(t, algorithm, payloads...), rawState))
}

// Accepted is an answer that took the request, or the test ends.
func (s System) Accepted(t testing.TB, answer Answer) Accepted {
	t.Helper()
	var a Accepted
	if answer.Status != http.StatusOK {
		t.Fatalf("the request was answered %d: %s", answer.Status, answer.Body)
	}
	answer.JSON(t, &a)
	return a
}

// Response asks for the signatures of a token.
func (s System) Response(t testing.TB, token string) Answer {
	t.Helper()
	return Get(t, s.Base+"/signatureresponse/"+token, nil)
}

// Fetch gets the signatures of a token, or the test ends.
func (s System) Fetch(t testing.TB, token string) Signed {
	t.Helper()
	answer := s.Response(t, token)
	if answer.Status != http.StatusOK {
		t.Fatalf("the signatures of %s were answered %d: %s", token, answer.Status, answer.Body)
	}
	var signed Signed
	answer.JSON(t, &signed)
	return signed
}

// Verify holds what was fetched against what was asked: the same ids in the same order, and every signature
// right over its own payload, as openssl sees it.
func (s Signed) Verify(t testing.TB, algorithm string, payloads []Payload) {
	t.Helper()
	if len(s.Signatures) != len(payloads) {
		t.Fatalf("%d signatures for %d payloads", len(s.Signatures), len(payloads))
	}
	verifier := NewVerifier(t, algorithm, s.Certificate)
	for i, signature := range s.Signatures {
		if signature.ID != payloads[i].ID {
			t.Fatalf("signature %d is of %q and should be of %q", i, signature.ID, payloads[i].ID)
		}
		if err := verifier.Verify(unbase64(t, payloads[i].Payload), unbase64(t, signature.Signature)); err != nil {
			t.Fatalf("item %q: %v", signature.ID, err)
		}
	}
}

// Payloads makes n payloads as a prescribing system sends them: SignedInfo elements in canonical form, each
// with a digest of its own.
func Payloads(algorithm string, n int) []Payload {
	payloads := make([]Payload, n)
	for i := range payloads {
		info := SignedInfo(algorithm, "", fmt.Appendf(nil, "prescription %d of %d", i+1, n))
		payloads[i] = Payload{ID: fmt.Sprintf("rx-%03d", i+1), Payload: base64.StdEncoding.EncodeToString(info)}
	}
	return payloads
}

// With is a copy of header or claims with one member changed; nil takes it out.
func With(members map[string]any, name string, value any) map[string]any {
	changed := maps.Clone(members)
	if value == nil {
		delete(changed, name)
	} else {
		changed[name] = value
	}
	return changed
}

func unbase64(t testing.TB, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatalf("not base64: %v", err)
	}
	return data
}
