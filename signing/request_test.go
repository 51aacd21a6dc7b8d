package signing

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
	"github.com/seed-dd2befc3/countersign/jwks"
	"github.com/seed-dd2befc3/countersign/store"
)

const (
	patternMessage = `Invalid request payload: "value" fails to match the required pattern: /^[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?$/`
	headerPrefix   = "JWT header is not valid. "
)

// Every row of the error table (SIG-1.21 to SIG-1.34).
func TestRequestErrors(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Clients["rs256-only"] = Client{Callback: callback}
		o.Keys.(keyring)["rs256-only/"+kid] = o.Keys.(keyring)[acme+"/"+kid]
	})
	claims := w.claimsFor(RS256, 2)
	now := w.clock.Now().Unix()
	one := payloads(RS256, 1)[0]
	parts := strings.Split(w.jwt(RS256, 1), ".")
	// byHeader and byClaim make a JWT with one member changed, its signature right.
	byHeader := func(name string, value any) string {
		return sign(t, clientKey(), with(header(), name, value), claims)
	}
	byClaim := func(name string, value any) string {
		return sign(t, clientKey(), header(), with(claims, name, value))
	}
	type row struct {
		name, jwt string
		want      refused
	}
	rows := []row{
		{"nothing", "", refused{400, "malformed", patternMessage}},
		{"in quotes, as JSON", `"` + strings.Join(parts, ".") + `"`, refused{400, "malformed", patternMessage}},
		{"no signature part", parts[0] + "." + parts[1], refused{400, "malformed", patternMessage}},
		{"an empty part", parts[0] + "." + parts[1] + ".", refused{400, "malformed", patternMessage}},
		{"a line break after it", strings.Join(parts, ".") + "\n", refused{400, "malformed", patternMessage}},
		{"not canonical base64url", parts[0] + "." + parts[1] + ".AB", refused{400, "malformed", "The request is not a JWT as it has to be: a segment of the token is not canonical base64url (RFC 4648 §3.5)"}},

		{"another alg", byHeader("alg", "RS256"), refused{400, "alg", headerPrefix + `"alg" must be [RS512]`}},
		{"no alg", byHeader("alg", nil), refused{400, "alg", headerPrefix + `"alg" is required`}},
		{"no kid", byHeader("kid", nil), refused{400, "kid", headerPrefix + `"kid" is required`}},
		{"no typ", byHeader("typ", nil), refused{400, "typ", headerPrefix + `"typ" is required`}},
		{"another typ", byHeader("typ", "at+jwt"), refused{400, "typ", headerPrefix + `"typ" must be [JWT]`}},
		{"a critical extension", byHeader("crit", []string{"exp"}), refused{400, "malformed", ""}},

		{"a duplicate id", byClaim("payloads", []payload{one, one}), refused{400, "payloads", claimsPrefix + `"payloads[1]" contains a duplicate value`}},
		{"more than 250", byClaim("payloads", payloads(RS256, 251)), refused{400, "payloads", claimsPrefix + `"payloads" must contain less than or equal to 250 items`}},
		{"none", byClaim("payloads", []payload{}), refused{400, "payloads", claimsPrefix + `"payloads" must contain at least 1 items`}},

		{"unknown kid", byHeader("kid", "acme-2"), refused{401, "kid", ""}},
		{"unknown iss", byClaim("iss", "nobody"), refused{401, "kid", ""}},
		{"another key", sign(t, strangerKey(), header(), claims), refused{401, "signature", "The JWT's signature does not verify with the key registered for its kid"}},
		{"keys away", byClaim("iss", "unreachable"), refused{503, "unavailable", "The key set of this client cannot be read at the moment; check its URL, and send the request again"}},

		{"expired", byClaim("exp", now-61), refused{400, "claims", claimsPrefix + `"exp" is in the past; make a new JWT for each request`}},
		{"expired, to the second", byClaim("exp", now-60), refused{400, "claims", ""}},
		{"too far ahead", byClaim("exp", now+661), refused{400, "claims", claimsPrefix + `"exp" is more than 10 minutes ahead`}},
		{"nbf in the future", byClaim("nbf", now+61), refused{400, "claims", claimsPrefix + `"nbf" is in the future; send the JWT once it is valid, or check the clock of the machine that makes it`}},
		{"nbf as text", byClaim("nbf", "soon"), refused{400, "claims", claimsPrefix + `"nbf" must be a number of seconds since 1970`}},
		{"nbf as null", byClaim("nbf", json.RawMessage("null")), refused{400, "claims", claimsPrefix + `"nbf" must be a number of seconds since 1970`}},
		{"iat in the future", byClaim("iat", now+61), refused{400, "claims", claimsPrefix + `"iat" is in the future; check the clock of the machine that makes the JWT`}},
		{"another aud", byClaim("aud", baseURL+"/"), refused{400, "claims", claimsPrefix + `"aud" must be [` + baseURL + `]`}},
		{"several auds", byClaim("aud", []string{baseURL}), refused{400, "claims", claimsPrefix + `"aud" must be a string`}},
		{"sub of eleven digits", byClaim("sub", person[1:]), refused{400, "claims", ""}},
		{"sub of letters", byClaim("sub", "55508668910x"), refused{400, "claims", ""}},
		{"exp a string", byClaim("exp", fmt.Sprint(now+600)), refused{400, "claims", claimsPrefix + `"exp" must be a number of seconds since 1970`}},
		{"sub empty", byClaim("sub", ""), refused{400, "claims", claimsPrefix + `"sub" is not allowed to be empty`}},
		{"iss null", sign(t, clientKey(), header(), `{"iss":null}`), refused{400, "claims", claimsPrefix + `"iss" must be a string`}},

		{"algorithm unknown", byClaim("algorithm", "RS512"), refused{400, "algorithm", ""}},
		{"algorithm not the client's", sign(t, clientKey(), header(), with(with(claims, "iss", "rs256-only"), "algorithm", RS1)), refused{400, "algorithm", ""}},
		{"algorithm not the payload's", byClaim("algorithm", RS1), refused{400, "algorithm", claimsPrefix + `"payloads[0].payload" names another SignatureMethod than "algorithm"`}},
	}
	for _, name := range []string{"iss", "sub", "aud", "iat", "exp", "algorithm", "payloads"} {
		rows = append(rows, row{"no " + name, byClaim(name, nil), refused{400, "claims", claimsPrefix + `"` + name + `" is required`}})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			got := w.post(w.Service, r.jwt, "?state=e30=")
			mustRefuse(t, got, r.want)
			if got.Header().Get("X-Request-Id") != "req-1" || got.Header().Get("X-Correlation-Id") != "corr-1" {
				t.Errorf("the caller's ids are not echoed: %v", got.Header())
			}
			if strings.Contains(got.Body.String(), person) || strings.Contains(got.Body.String(), parts[1][:40]) {
				t.Errorf("what was sent is echoed: %s", got.Body)
			}
		})
	}
	if list, err := w.Store.List(t.Context(), clientIndex(acme), "", 10); err != nil || len(list) != 0 {
		t.Errorf("refused requests have left %d sessions, %v", len(list), err)
	}
}

func TestPayloadErrors(t *testing.T) {
	w := newWorld(t, nil)
	claims := w.claimsFor(RS256, 1)
	one := payloads(RS256, 1)[0]
	for name, row := range map[string]struct {
		payloads any
		message  string
	}{
		"an object":       {map[string]any{}, `"payloads" must be an array`},
		"null in it":      {[]any{nil}, `"payloads[0].id" is required`},
		"a number in it":  {[]any{one, 7}, `"payloads[1]" must be an object with "id" and "payload"`},
		"no id":           {[]any{map[string]any{"payload": "YQ=="}}, `"payloads[0].id" is required`},
		"no id, later":    {[]any{one, map[string]any{"payload": "YQ=="}}, `"payloads[1].id" is required`},
		"no payload":      {[]any{one, map[string]any{"id": "a"}}, `"payloads[1].payload" is required`},
		"id a number":     {[]any{map[string]any{"id": 1, "payload": "YQ=="}}, `"payloads[0].id" must be a string of 1 to 256 bytes`},
		"id empty":        {[]any{payload{"", "YQ=="}}, `"payloads[0].id" must be a string of 1 to 256 bytes`},
		"id long":         {[]any{payload{strings.Repeat("i", 257), "YQ=="}}, `"payloads[0].id" must be a string of 1 to 256 bytes`},
		"payload a list":  {[]any{map[string]any{"id": "a", "payload": []int{1}}}, `"payloads[0].payload" must be a string`},
		"payload empty":   {[]any{payload{"a", ""}}, `"payloads[0].payload" is not allowed to be empty`},
		"not base64":      {[]any{payload{"a", "%%%%"}}, `"payloads[0].payload" must be a valid base64 string`},
		"base64url":       {[]any{payload{"a", "_-__"}}, `"payloads[0].payload" must be a valid base64 string`},
		"no padding":      {[]any{payload{"a", "YQ"}}, `"payloads[0].payload" must be a valid base64 string`},
		"padding alone":   {[]any{payload{"a", "===="}}, `"payloads[0].payload" must be a valid base64 string`},
		"stray bits":      {[]any{payload{"a", "YR=="}}, `"payloads[0].payload" must be a valid base64 string`},
		"a line break":    {[]any{payload{"a", "YWJj\nYWJj"}}, `"payloads[0].payload" must be a valid base64 string`},
		"something after": {[]any{payload{"a", "YQ==YQ=="}}, `"payloads[0].payload" must be a valid base64 string`},
	} {
		t.Run(name, func(t *testing.T) {
			jwt := sign(t, clientKey(), header(), with(claims, "payloads", row.payloads))
			mustRefuse(t, w.post(w.Service, jwt, ""), refused{400, "payloads", claimsPrefix + row.message})
		})
	}
}

// What one reader of JSON takes for one thing and another for another is refused, signed or not.
func TestAmbiguousJSON(t *testing.T) {
	w := newWorld(t, nil)
	good := `{"iss":"acme-epr","payloads":[{"id":"a","payload":"YQ=="}]}`
	head := `{"alg":"RS512","typ":"JWT","kid":"acme-1"}`
	for name, row := range map[string]struct{ header, claims string }{
		"a claim twice":            {head, `{"iss":"acme-epr","iss":"acme-epr"}`},
		"a claim in capitals":      {head, `{"iss":"acme-epr","ISS":"acme-epr"}`},
		"a header twice":           {`{"alg":"RS512","alg":"RS512","typ":"JWT","kid":"acme-1"}`, good},
		"a header in capitals":     {`{"alg":"RS512","typ":"JWT","kid":"acme-1","KID":"x"}`, good},
		"an id twice":              {head, `{"iss":"acme-epr","payloads":[{"id":"a","id":"b","payload":"YQ=="}]}`},
		"an id in capitals":        {head, `{"iss":"acme-epr","payloads":[{"id":"a","Id":"b","payload":"YQ=="}]}`},
		"a payload in capitals":    {head, `{"iss":"acme-epr","payloads":[{"id":"a","payload":"YQ==","PAYLOAD":"Yg=="}]}`},
		"not UTF-8":                {head, "{\"iss\":\"acme-epr\",\"x\":\"\xff\"}"},
		"17 levels":                {head, `{"iss":"acme-epr","x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`},
		"something after the JSON": {head, good + "{}"},
	} {
		t.Run(name, func(t *testing.T) {
			mustRefuse(t, w.post(w.Service, sign(t, clientKey(), row.header, row.claims), ""), refused{400, "malformed", ""})
		})
	}
}

// Of two faults the earlier check answers (SIG-1.17).
func TestOrderOfChecks(t *testing.T) {
	w := newWorld(t, nil)
	claims := w.claimsFor(RS256, 1)
	expired := with(claims, "exp", w.clock.Now().Unix()-1000)
	bad := with(header(), "alg", "RS256")
	big := strings.Repeat("a", MaxBody+1)
	unread := func(size int64) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(failingReader{}), size
		}
	}
	tokenless := func(*http.Request) { w.access = func(*http.Request) (Caller, error) { return Caller{}, errRefused } }
	plain := func(r *http.Request) { r.Header.Set("Content-Type", "text/html") }
	for _, c := range []struct {
		name, jwt string
		changes   []func(*http.Request)
		want      refused
	}{
		{"bearer before size", "", []func(*http.Request){tokenless, unread(MaxBody + 1)}, refused{401, "access_token", "The access token is missing"}},
		{"bearer before the body is read", "", []func(*http.Request){tokenless, unread(10)}, refused{401, "access_token", ""}},
		{"size before content type", big, []func(*http.Request){plain}, refused{413, "too_large", ""}},
		{"content type before the body is read", "", []func(*http.Request){plain, unread(10)}, refused{415, "content_type", ""}},
		{"size before pattern", big, nil, refused{413, "too_large", ""}},
		{"pattern before base64url", "AB.AB", nil, refused{400, "malformed", patternMessage}},
		{"base64url before JSON", "e31.e30.AAAA", nil, refused{400, "malformed", "The request is not a JWT as it has to be: a segment of the token is not canonical base64url (RFC 4648 §3.5)"}},
		{"JSON before header", sign(t, clientKey(), bad, `{"iss":"a","iss":"b"}`), nil, refused{400, "malformed", ""}},
		{"header before iss", sign(t, clientKey(), bad, `{}`), nil, refused{400, "alg", ""}},
		{"header before key", sign(t, clientKey(), with(bad, "kid", "x"), claims), nil, refused{400, "alg", ""}},
		{"key before signature", sign(t, strangerKey(), with(header(), "kid", "x"), claims), nil, refused{401, "kid", ""}},
		{"signature before claims", sign(t, strangerKey(), header(), expired), nil, refused{401, "signature", ""}},
		{"signature before payloads", sign(t, strangerKey(), header(), with(claims, "payloads", []payload{})), nil, refused{401, "signature", ""}},
		{"claims before algorithm", sign(t, clientKey(), header(), with(expired, "algorithm", "RS512")), nil, refused{400, "claims", ""}},
		{"claims before payloads", sign(t, clientKey(), header(), with(expired, "payloads", []payload{})), nil, refused{400, "claims", ""}},
		{"algorithm before payloads", sign(t, clientKey(), header(), with(with(claims, "algorithm", "X"), "payloads", []payload{})), nil, refused{400, "algorithm", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.access = nil
			r := httptest.NewRequest(http.MethodPost, "/signaturerequest", strings.NewReader(c.jwt))
			r.Header.Set("Content-Type", "text/plain")
			for _, change := range c.changes {
				change(r)
			}
			mustRefuse(t, answer(w.Service, r), c.want)
		})
	}
}

// failingReader is a body that must not be read.
type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, errors.New("the body was read")
}

// The access token's client and user are the JWT's (SIG-4.8).
func TestAnotherCallersToken(t *testing.T) {
	w := newWorld(t, nil)
	jwt := w.jwt(RS256, 1)
	for _, c := range []struct {
		caller Caller
		status int
	}{
		{Caller{Client: acme}, 200},
		{Caller{Client: acme, User: person}, 200},
		{Caller{Client: "other"}, 401},
		{Caller{Client: acme, User: "555086689107"}, 401},
	} {
		w.access = func(*http.Request) (Caller, error) { return c.caller, nil }
		got := w.post(w.Service, jwt, "")
		if got.Code != c.status {
			t.Errorf("%+v: %d %s", c.caller, got.Code, got.Body)
		}
		if c.status == 401 {
			mustRefuse(t, got, refused{401, "access_token", ""})
		}
		if another := c.caller.User != "" && c.caller.User != person; strings.Contains(got.Body.String(), "a new token of the same user will not help") != another {
			t.Errorf("%+v: got %s", c.caller, got.Body) // SIG-1.35
		}
	}
}

func TestBodies(t *testing.T) {
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		body   io.Reader
		length int64
		want   refused
	}{
		"too large without saying so": {strings.NewReader(strings.Repeat("a", MaxBody+1)), -1, refused{413, "too_large", ""}},
		"breaks off":                  {failingReader{io.ErrUnexpectedEOF}, 10, refused{400, "body", ""}},
		"too slow":                    {failingReader{os.ErrDeadlineExceeded}, 10, refused{408, "body", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/signaturerequest", c.body)
			r.ContentLength = c.length
			r.Header.Set("Content-Type", "text/plain; charset=utf-8")
			mustRefuse(t, answer(w.Service, r), c.want)
		})
	}
	for name, group := range map[string]*intake.Group{"requests": w.Requests, "working": w.Working} {
		if use := group.Pool.Use(); use.Proven+use.Unproven != 0 {
			t.Errorf("%s: got %+v when all are done with, want nothing held", name, use)
		}
		all, err := group.Pool.Take(share.Caller{Proven: true}, group.Pool.Use().Size, nil)
		if err != nil {
			t.Fatal(err)
		}
		mustRefuse(t, w.post(w.Service, w.jwt(RS256, 1), ""), refused{503, "unavailable", ""})
		all.Release()
	}
	largest := payloads(RS256, 250)
	for i := range largest {
		largest[i].Payload = strings.Repeat("QUJD", 1400)
	}
	jwt := sign(t, clientKey(), header(), with(w.claimsFor(RS256, 1), "payloads", largest))
	if len(jwt) < 1800<<10 || len(jwt) > MaxBody {
		t.Fatalf("the large request has %d bytes", len(jwt))
	}
	w.accept(jwt, "")
}

// A request that cannot be kept is not acknowledged, and can be sent again.
func TestRequestWhileTheStoreIsAway(t *testing.T) {
	w := newWorld(t, nil)
	jwt := w.jwt(RS256, 1)
	for name, fail := range map[string]func(){
		"reading": func() { w.store.fail(func([]string) error { return away() }, nil) },
		"keeping": func() { w.store.fail(nil, func(store.Batch) error { return away() }) },
		"gone":    func() { w.store.fail(nil, func(store.Batch) error { return context.Canceled }) },
	} {
		fail()
		t.Run(name, func(t *testing.T) { mustRefuse(t, w.post(w.Service, jwt, ""), refused{503, "unavailable", ""}) })
	}
	w.store.fail(nil, func(store.Batch) error { return errTest })
	mustRefuse(t, w.post(w.Service, jwt, ""), refused{500, "internal", ""})
	w.store.fail(nil, nil)
	w.accept(jwt, "")
}

// What real clients send is taken.
func TestAcceptedForms(t *testing.T) {
	w := newWorld(t, nil)
	claims := w.claimsFor(RS256, 1)
	now := w.clock.Now().Unix()
	for name, jwt := range map[string]string{
		"RS1":                    w.jwt(RS1, 2),
		"PS256":                  w.jwt(PS256, 2),
		"250":                    w.jwt(RS256, 250),
		"dates as floats":        sign(t, clientKey(), header(), with(with(claims, "iat", float64(now)-0.5), "exp", float64(now)+600.5)),
		"at the end of the skew": sign(t, clientKey(), header(), with(with(claims, "iat", now+60), "exp", now+660)),
		"just not expired":       sign(t, clientKey(), header(), with(claims, "exp", now-59)),
		"claims of their own":    sign(t, clientKey(), header(), with(claims, "x", []int{1})),
		"typ in small letters":   sign(t, clientKey(), with(header(), "typ", "jwt"), claims),
		"not a SignedInfo":       sign(t, clientKey(), header(), with(claims, "payloads", []payload{{"a", "YWJj"}})),
		"an escaped payload":     sign(t, clientKey(), header(), strings.Replace(mustJSON(t, with(claims, "payloads", []payload{{"a", "AAAA"}})), `"AAAA"`, `"\u0041AAA"`, 1)),
	} {
		t.Run(name, func(t *testing.T) {
			ticket := w.accept(jwt, "?state=x")
			if ticket.RedirectURI != baseURL+"/client?token="+ticket.Token+"&state=x" || len(ticket.Token) != 36 || ticket.Token[14] != '4' {
				t.Errorf("accepted with %+v", ticket)
			}
		})
	}
}

// The length of the modulus in bytes decides, so that a key of 4095 bits is one of 4096 (SIG-1.10).
func TestKeySizes(t *testing.T) {
	ring := keyring{}
	w := newWorld(t, func(o *Options) { o.Keys = ring })
	for bits, want := range map[int]refused{2048: {401, "kid", ""}, 4088: {401, "kid", ""}, 4089: {401, "signature", ""}, 4095: {401, "signature", ""}} {
		modulus := new(big.Int).Lsh(big.NewInt(1), uint(bits)-1)
		modulus.Or(modulus, big.NewInt(1)) // it stands for no key, so nothing verifies under it
		key, err := jwks.KeyOf(kid, &rsa.PublicKey{N: modulus, E: 65537})
		if err != nil || key.Bits() != bits {
			t.Fatal(bits, err)
		}
		ring[acme+"/"+kid] = key
		t.Run(fmt.Sprint(bits), func(t *testing.T) { mustRefuse(t, w.post(w.Service, w.jwt(RS256, 1), ""), want) })
	}
}

// Whoever sends the JWT as JSON is told so, beside the real service's words.
func TestABodyInQuotes(t *testing.T) {
	w := newWorld(t, nil)
	jwt := w.jwt(RS256, 1)
	for body, told := range map[string]bool{`"` + jwt + `"`: true, "\"" + jwt + "\"\n": true, `""`: true, `"`: false, jwt + `"`: false, "x": false} {
		got := w.post(w.Service, body, "")
		mustRefuse(t, got, refused{400, "malformed", patternMessage})
		if hint := read[errorBody](t, got).Hint; strings.Contains(hint, "JSON string") != told {
			t.Errorf("%.20q: got hint %q", body, hint)
		}
	}
}
