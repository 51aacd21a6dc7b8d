package journey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	pattern = `Invalid request payload: "value" fails to match the required pattern: /^[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?\.[a-zA-Z0-9\-_]+?$/`
	header  = "JWT header is not valid. "
	payload = "JWT payload is not valid. "
)

// Every row of the error table of POST /signaturerequest (SIG-1.21 to SIG-1.34).
func TestRequestErrors(t *testing.T) {
	w := newWorld(t, options{})
	s := w.system("main")
	one := gateway.Payloads("RS256", 1)
	stranger := gateway.NewKey(t, 4096) // takes its time
	claims := s.Claims("RS256", one...)
	now := time.Now().Unix()

	withHeader := func(name string, value any) string {
		return s.Key.JWT(t, gateway.With(s.Header(), name, value), claims)
	}
	withClaim := func(name string, value any) string {
		return s.Key.JWT(t, s.Header(), gateway.With(claims, name, value))
	}
	withPayloads := func(p ...gateway.Payload) string { return s.JWT(t, "RS256", p...) }
	good := s.JWT(t, "RS256", one...)
	parts := strings.Split(good, ".")
	sha1 := gateway.Payloads("RS1", 1)

	type row struct {
		name string
		jwt  string
		want refusal
	}
	rows := []row{
		{"no signature part", parts[0] + "." + parts[1], refusal{400, "malformed", pattern}},
		{"empty signature part", parts[0] + "." + parts[1] + ".", refusal{400, "malformed", pattern}},
		{"empty header part", "." + parts[1] + "." + parts[2], refusal{400, "malformed", pattern}},
		{"four parts", good + ".x", refusal{400, "malformed", pattern}},
		{"a line break at the end", good + "\n", refusal{400, "malformed", pattern}},
		{"a space before", " " + good, refusal{400, "malformed", pattern}},
		{"padded base64", parts[0] + "=." + parts[1] + "." + parts[2], refusal{400, "malformed", pattern}},
		{"nothing", "", refusal{400, "malformed", pattern}},
		{"in quotes, as JSON", `"` + good + `"`, refusal{400, "malformed", pattern}},
		{"JSON", `{"jwt":"` + good + `"}`, refusal{400, "malformed", pattern}},

		{"another alg", withHeader("alg", "RS256"), refusal{400, "alg", header + `"alg" must be [RS512]`}},
		{"alg none", withHeader("alg", "none"), refusal{400, "alg", header + `"alg" must be [RS512]`}},
		{"a symmetric alg", withHeader("alg", "HS512"), refusal{400, "alg", header + `"alg" must be [RS512]`}},
		{"no alg", withHeader("alg", nil), refusal{400, "alg", header + `"alg" is required`}},
		{"no kid", withHeader("kid", nil), refusal{400, "kid", header + `"kid" is required`}},
		{"no typ", withHeader("typ", nil), refusal{400, "typ", header + `"typ" is required`}},
		{"another typ", withHeader("typ", "at+jwt"), refusal{400, "typ", ""}},
		{"a critical extension", withHeader("crit", []string{"exp"}), refusal{status: 400}},

		{"no payloads in payloads", withClaim("payloads", []any{}), refusal{400, "payloads", payload + `"payloads" must contain at least 1 items`}},
		{"more than 250", withPayloads(gateway.Payloads("RS256", 251)...), refusal{400, "payloads", payload + `"payloads" must contain less than or equal to 250 items`}},
		{"duplicate id", withPayloads(one[0], one[0]), refusal{400, "payloads", payload + `"payloads[1]" contains a duplicate value`}},
		{"payload not base64", withPayloads(gateway.Payload{ID: "a", Payload: "%%%%"}), refusal{400, "payloads", ""}},
		{"payload base64url", withPayloads(gateway.Payload{ID: "a", Payload: "_-__"}), refusal{400, "payloads", ""}},
		{"payload without padding", withPayloads(gateway.Payload{ID: "a", Payload: "YQ"}), refusal{400, "payloads", ""}},
		{"payload with stray bits", withPayloads(gateway.Payload{ID: "a", Payload: "YR=="}), refusal{400, "payloads", ""}},
		{"payload with a line break", withPayloads(gateway.Payload{ID: "a", Payload: "YWJj\nYWJj"}), refusal{400, "payloads", ""}},
		{"payload empty", withPayloads(gateway.Payload{ID: "a"}), refusal{400, "payloads", ""}},
		{"payload without id", withClaim("payloads", []any{map[string]string{"payload": "YQ=="}}), refusal{400, "payloads", ""}},
		{"payloads an object", withClaim("payloads", map[string]string{"id": "a"}), refusal{status: 400}},
		{"a payload of a number", withClaim("payloads", []any{map[string]any{"id": "a", "payload": 7}}), refusal{400, "payloads", ""}},

		{"unknown kid", withHeader("kid", "acme-2"), refusal{401, "kid", ""}},
		{"unknown iss", withClaim("iss", "nobody"), refusal{401, "kid", ""}},
		{"another client's kid", withHeader("kid", "pss-1"), refusal{401, "kid", ""}},
		{"signed by another key", stranger.JWT(t, s.Header(), claims), refusal{401, "signature", ""}},
		{"claims changed after signing", parts[0] + "." + b64url(marshal(t, gateway.With(claims, "sub", "555086689107"))) + "." + parts[2], refusal{401, "signature", ""}},
		{"signature of another length", parts[0] + "." + parts[1] + "." + parts[2][:400], refusal{401, "signature", ""}},

		{"expired", withClaim("exp", now-120), refusal{400, "claims", ""}},
		{"too far ahead", withClaim("exp", now+1200), refusal{400, "claims", ""}}, // still, when all above has been sent
		{"iat in the future", withClaim("iat", now+500), refusal{400, "claims", ""}},
		{"another audience", withClaim("aud", s.Base+"/"), refusal{400, "claims", ""}},
		{"several audiences", withClaim("aud", []string{s.Base}), refusal{400, "claims", ""}},
		{"exp a string", withClaim("exp", fmt.Sprint(now+600)), refusal{400, "claims", ""}},
		{"iat a string", withClaim("iat", "now"), refusal{400, "claims", ""}},
		{"sub a number", withClaim("sub", 555086689106), refusal{400, "claims", ""}},

		{"algorithm not opted in", withClaim("algorithm", "PS256"), refusal{400, "algorithm", ""}},
		{"algorithm unknown", withClaim("algorithm", "RS512"), refusal{400, "algorithm", ""}},
		{"algorithm is not the payload's", withClaim("payloads", sha1), refusal{400, "algorithm", ""}},
	}
	for _, claim := range []string{"iat", "exp", "iss", "sub", "aud", "algorithm", "payloads"} {
		rows = append(rows, row{"no " + claim, withClaim(claim, nil), refusal{400, "claims", payload + `"` + claim + `" is required`}})
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			answer := s.Post(t, r.jwt, "")
			mustRefuse(t, answer, r.want)
			for _, name := range []string{"x-request-id", "x-correlation-id"} {
				if answer.Header.Get(name) == "" {
					t.Errorf("%s is not echoed", name)
				}
			}
			if told := strings.Contains(string(answer.Body), `"hint":"The body is a JSON string`); told != (r.name == "in quotes, as JSON") { // SIG-1.36
				t.Errorf("the answer says that the body is a JSON string: %v: %s", told, answer.Body)
			}
			if id := answer.Failure(t).RequestID; id != "req-1" {
				t.Errorf("requestId %q is not the caller's", id)
			}
			if r.want.status == 401 && answer.Header.Get("WWW-Authenticate") == "" {
				t.Error("a 401 without WWW-Authenticate")
			}
			if text := string(answer.Body); len(parts[1]) > 20 && strings.Contains(text, parts[1][:20]) || strings.Contains(text, person) {
				t.Errorf("the answer echoes what was sent: %s", text)
			}
		})
	}
	t.Run("and the good one is taken", func(t *testing.T) {
		if answer := s.Post(t, good, ""); answer.Status != http.StatusOK {
			t.Errorf("%d %s", answer.Status, answer.Body)
		}
	})
}

// What one JSON reader takes for one thing and another for another is refused, although the client signed it
// (SIG-1.17).
func TestAmbiguousJSONIsRefused(t *testing.T) {
	w := newWorld(t, options{})
	s := w.system("main")
	claims := string(marshal(t, s.Claims("RS256", gateway.Payloads("RS256", 1)...)))
	head := string(marshal(t, s.Header()))
	add := func(object, member string) string { return object[:len(object)-1] + "," + member + "}" }
	for name, c := range map[string]struct{ header, claims string }{
		"a claim twice":               {head, add(claims, `"sub":"555086689107"`)},
		"a claim in other case":       {head, add(claims, `"SUB":"555086689107"`)},
		"a header twice":              {add(head, `"kid":"acme-2"`), claims},
		"a header in other case":      {add(head, `"Kid":"acme-2"`), claims},
		"an escaped twin":             {head, add(claims, `"s\u0075b":"555086689107"`)},
		"not UTF-8":                   {head, add(claims, "\"x\":\"\xff\"")},
		"17 deep":                     {head, add(claims, `"x":`+strings.Repeat("[", 17)+strings.Repeat("]", 17))},
		"something after":             {head, claims + "{}"},
		"an array":                    {head, "[" + claims + "]"},
		"a header that is not JSON":   {"{", claims},
		"claims that are not JSON":    {head, "{"},
		"a member twice in a payload": {head, strings.Replace(claims, `{"id":"rx-001",`, `{"id":"rx-001","id":"rx-002",`, 1)},
		"a payload's ID in capitals":  {head, strings.Replace(claims, `{"id":"rx-001",`, `{"id":"rx-001","ID":"rx-002",`, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			if c.header == head && c.claims == claims {
				t.Fatal("the test changes nothing")
			}
			mustRefuse(t, s.Post(t, s.Key.Sign(t, []byte(c.header), []byte(c.claims)), ""), refusal{status: 400})
		})
	}
	t.Run("as it was", func(t *testing.T) {
		if answer := s.Post(t, s.Key.Sign(t, []byte(head), []byte(claims)), ""); answer.Status != http.StatusOK {
			t.Errorf("%d %s", answer.Status, answer.Body)
		}
	})
}

// Of two faults the earlier check answers (SIG-1.17).
func TestOrderOfChecks(t *testing.T) {
	w := newWorld(t, options{})
	s := w.system("main")
	claims := s.Claims("RS256", gateway.Payloads("RS256", 1)...)
	expired := gateway.With(claims, "exp", time.Now().Unix()-1000)
	stranger := gateway.NewKey(t, 4096)
	big := bytes.Repeat([]byte("a"), 2<<20+1)
	for _, c := range []struct {
		name        string
		contentType string
		body        []byte
		want        refusal
	}{
		{"size before content type", "application/json", big, refusal{status: 413}},
		{"size before pattern", "text/plain", big, refusal{status: 413}},
		{"content type before pattern", "application/json", []byte("{}"), refusal{status: 415}},
		{"no content type", "", []byte(s.Key.JWT(t, s.Header(), claims)), refusal{status: 415}},
		{"a form", "application/x-www-form-urlencoded", []byte("jwt=x"), refusal{status: 415}},
		{"base64url before JSON", "text/plain", []byte("e31.e30.AAAA"), refusal{400, "malformed", ""}},
		{"header before key", "text/plain", []byte(stranger.JWT(t, gateway.With(s.Header(), "typ", nil), claims)), refusal{400, "typ", ""}},
		{"key before signature", "text/plain", []byte(stranger.JWT(t, gateway.With(s.Header(), "kid", "x"), claims)), refusal{401, "kid", ""}},
		{"signature before claims", "text/plain", []byte(stranger.JWT(t, s.Header(), expired)), refusal{401, "signature", ""}},
		{"signature before payloads", "text/plain", []byte(stranger.JWT(t, s.Header(), gateway.With(claims, "payloads", []any{}))), refusal{401, "signature", ""}},
		{"claims before payloads", "text/plain", []byte(s.Key.JWT(t, s.Header(), gateway.With(expired, "payloads", []any{}))), refusal{400, "claims", ""}},
	} {
		t.Run(c.name, func(t *testing.T) { mustRefuse(t, s.PostAs(t, c.contentType, "", c.body), c.want) })
	}
	t.Run("text/plain with a charset is fine", func(t *testing.T) {
		if answer := s.PostAs(t, "text/plain; charset=utf-8", "", []byte(s.Key.JWT(t, s.Header(), claims))); answer.Status != http.StatusOK {
			t.Errorf("%d %s", answer.Status, answer.Body)
		}
	})
	t.Run("too large without saying so", func(t *testing.T) {
		request, err := http.NewRequest(http.MethodPost, s.Base+"/signaturerequest", io.MultiReader(bytes.NewReader(big)))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "text/plain")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", response.StatusCode)
		}
	})
}

// What real clients send and must be taken (SIG-1.2, SIG-1.3, SIG-1.7, SIG-1.11).
func TestWhatClientsSendIsTaken(t *testing.T) {
	w := newWorld(t, options{})
	s := w.system("main")
	one := gateway.Payloads("RS256", 1)
	claims := s.Claims("RS256", one...)
	times := func(iat, exp any) map[string]any { return gateway.With(gateway.With(claims, "iat", iat), "exp", exp) }
	for name, changed := range map[string]func(now time.Time) map[string]any{
		"iat and exp as floats": func(now time.Time) map[string]any {
			seconds := float64(now.UnixMilli()) / 1000
			return times(seconds, seconds+600)
		},
		"a clock 30 s behind":       func(now time.Time) map[string]any { return times(now.Unix()-630, now.Unix()-30) }, // a minute is allowed
		"a clock 50 s ahead":        func(now time.Time) map[string]any { return times(now.Unix()+50, now.Unix()+650) },
		"members of their own":      func(time.Time) map[string]any { return gateway.With(claims, "x-vendor", map[string]any{"build": 7}) },
		"no jti":                    func(time.Time) map[string]any { return gateway.With(claims, "jti", nil) },
		"algorithm RS1 for its own": func(time.Time) map[string]any { return s.Claims("RS1", gateway.Payloads("RS1", 1)...) },
	} {
		t.Run(name, func(t *testing.T) {
			if answer := s.Post(t, s.Key.JWT(t, s.Header(), changed(time.Now())), ""); answer.Status != http.StatusOK {
				t.Errorf("%d %s", answer.Status, answer.Body)
			}
		})
	}
}

// Every row of the table of GET /signatureresponse/{token} (SIG-4.3 to SIG-4.7), over one session
// after another.
func TestResponseErrors(t *testing.T) {
	w := newWorld(t, options{services: []service{{name: "main"}, {name: "liar", agent: "fault wrong_signature"}}})
	s := w.system("main")
	one := gateway.Payloads("RS256", 1)
	for _, token := range []string{"xyz", "f523a772-24f2-45d6-a8da-59b48de0231", "%7Bf523a772-24f2-45d6-a8da-59b48de0231a%7D", "zzzzzzzz-24f2-45d6-a8da-59b48de0231a"} {
		t.Run("malformed "+token, func(t *testing.T) {
			mustRefuse(t, s.Response(t, token), refusal{400, "", `Invalid request params: "token" must be a valid base64 string`})
		})
	}
	t.Run("unknown", func(t *testing.T) {
		mustRefuse(t, s.Response(t, "f523a772-24f2-45d6-a8da-59b48de0231a"), refusal{404, "", "No signature request for specified token"})
		in64 := base64.StdEncoding.EncodeToString([]byte("f523a772-24f2-45d6-a8da-59b48de0231a"))
		mustRefuse(t, s.Response(t, in64), refusal{404, "", "No signature request for specified token"})
	})
	accepted := w.request(t, s, "RS256", "", one...)
	t.Run("not opened", func(t *testing.T) {
		mustRefuse(t, s.Response(t, accepted.Token), refusal{400, "", "Signature request has not been downloaded yet"})
		in64 := base64.StdEncoding.EncodeToString([]byte(accepted.Token))
		mustRefuse(t, s.Response(t, in64), refusal{400, "", "Signature request has not been downloaded yet"})
	})
	browser := gateway.Visit(t, accepted.RedirectURI)
	browser.Open()
	t.Run("opened", func(t *testing.T) {
		mustRefuse(t, s.Response(t, accepted.Token), refusal{404, "", "Could not find the specified signature response"})
	})
	t.Run("cancelled", func(t *testing.T) {
		if answer := browser.Cancel(); answer.Status/100 != 2 {
			t.Fatalf("cancel: %d %s", answer.Status, answer.Body)
		}
		mustRefuse(t, s.Response(t, accepted.Token), refusal{410, "", ""})
		if view := browser.View(); view.State != "cancelled" || !strings.HasPrefix(view.Redirect, callback+"&token="+accepted.Token) || !strings.Contains(view.Redirect, "&error=") {
			t.Errorf("cancelled, the page is told %+v", view)
		}
	})
	t.Run("failed", func(t *testing.T) {
		liar := w.system("liar")
		accepted := w.request(t, liar, "RS256", "a+b", one...)
		view := gateway.Visit(t, accepted.RedirectURI).SignToEnd()
		mustRefuse(t, liar.Response(t, accepted.Token), refusal{410, "", ""})
		if view.State != "failed" || view.Reason == nil || !strings.HasPrefix(view.Redirect, callback+"&token="+accepted.Token+"&state=a+b&error=") {
			t.Errorf("failed, the page is told %+v, %+v", view, view.Reason)
		}
	})
	t.Run("a token of the same shape says nothing of other services", func(t *testing.T) {
		request, err := http.NewRequest(http.MethodPost, s.Base+"/signatureresponse/"+accepted.Token, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") == "" {
			t.Errorf("POST to a response: %d, Allow %q", response.StatusCode, response.Header.Get("Allow"))
		}
	})
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func b64url(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func decode(t *testing.T, text string) []byte {
	t.Helper()
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
