package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/seed-dd2befc3/countersign/store"
)

// row is what a row of TOK-2 says.
type row struct {
	status      int
	code        string
	description string
}

const (
	ir  = "invalid_request"
	pk  = "public_key error"
	jwt = " in client_assertion JWT"
)

// The rows of TOK-2, to the letter.
var (
	row1  = row{415, ir, "Content-Type header must be application/x-www-form-urlencoded"}
	row2  = row{400, ir, "grant_type is missing"}
	row3  = row{400, "unsupported_grant_type", "grant_type is invalid"}
	row4  = row{400, ir, "Missing or invalid client_assertion_type - must be 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'"}
	row5  = row{400, ir, "Missing client_assertion"}
	row6  = row{400, ir, "Malformed JWT in client_assertion"}
	row7  = row{400, ir, "Invalid 'alg' header in client_assertion JWT - unsupported JWT algorithm - must be 'RS512'"}
	row8  = row{400, ir, "Invalid 'exp' claim in client_assertion JWT - JWT has expired"}
	row9  = row{400, ir, "Missing 'kid' header in client_assertion JWT"}
	row10 = row{400, ir, "Invalid 'typ' header in client_assertion JWT - must be 'JWT'"}
	row11 = row{400, ir, "Missing 'exp' claim in client_assertion JWT"}
	row12 = row{400, ir, "Invalid 'exp' claim in client_assertion JWT - must be an integer"}
	row13 = row{400, ir, "Missing or non-matching 'iss'/'sub' claims in client_assertion JWT"}
	row14 = row{400, ir, "Missing 'jti' claim in client_assertion JWT"}
	row15 = row{400, ir, "Invalid 'jti' claim in client_assertion JWT - must be a unique string value such as a GUID"}
	row16 = row{400, ir, "Non-unique 'jti' claim in client_assertion JWT"}
	row17 = row{400, ir, "Invalid 'exp' claim in client_assertion JWT - more than 5 minutes in future"}
	row18 = row{401, ir, "Invalid 'iss'/'sub' claims in client_assertion JWT"}
	row20 = row{403, pk, "You need to register a public key to use this authentication method - please contact support to configure"}
	row21 = row{403, pk, "The JWKS endpoint, for your client_assertion can't be reached"}
	row22 = row{401, ir, "Invalid 'kid' header in client_assertion JWT - no matching public key"}
	row23 = row{401, pk, "JWT signature verification failed"}
	row24 = row{401, ir, "Missing or invalid 'aud' claim in client_assertion JWT"}
	row25 = row{401, "unauthorized_client", "you have tried to request authorization but your application is not configured to use this authorization grant type"} //nolint:misspell // spelt so in the protocol
	row27 = row{404, ir, "Not Found"}
)

// mustRefuse holds an answer to its row and to the shape of every error.
func mustRefuse(t *testing.T, a answer, want row) {
	t.Helper()
	if a.status != want.status || a.fields["error"] != want.code || a.fields["error_description"] != want.description {
		t.Fatalf("%d %s\nwant %d %s: %s", a.status, a.body, want.status, want.code, want.description)
	}
	if id, _ := a.fields["message_id"].(string); len(id) != 36 || len(a.fields) != 3 {
		t.Errorf("not the shape of an error: %s", a.body)
	}
	if a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", a.header)
	}
}

func TestATokenIsIssued(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(form url.Values, claims map[string]any){
		"plain":                    func(url.Values, map[string]any) {},
		"asks for a scope":         func(f url.Values, _ map[string]any) { f.Set("scope", "everything") },
		"names itself":             func(f url.Values, _ map[string]any) { f.Set("client_id", "acme") },
		"exp with a fraction":      func(_ url.Values, c map[string]any) { c["exp"] = float64(w.clock.Now().Unix()) + 100.5 },
		"exp as far as it may be":  func(_ url.Values, c map[string]any) { c["exp"] = w.clock.Now().Unix() + 310 },
		"claims of its own":        func(_ url.Values, c map[string]any) { c["iat"], c["nbf"] = 1, []string{"x"} },
		"a jti that is no UUID":    func(_ url.Values, c map[string]any) { c["jti"] = strings.Repeat("Ж ", 400) },
		"a second before it's due": func(_ url.Values, c map[string]any) { c["exp"] = w.clock.Now().Unix() + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			claims, f := w.claimsOf("acme"), form("")
			change(f, claims)
			f.Set("client_assertion", mint(t, "acme-1", claims))
			a := w.post(f)
			if a.status != http.StatusOK || len(a.fields) != 4 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			token, _ := a.fields["access_token"].(string)
			if !regexp.MustCompile(`^[A-Za-z0-9]{28}$`).MatchString(token) {
				t.Errorf("token %q", token)
			}
			if a.fields["expires_in"] != "599" || a.fields["token_type"] != "Bearer" ||
				a.fields["issued_at"] != strconv.FormatInt(w.clock.Now().UnixMilli(), 10) {
				t.Errorf("answer %s", a.body)
			}
			if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", a.header)
			}
			grant, err := w.check.Check(t.Context(), "Bearer "+token)
			if err != nil {
				t.Fatal(err)
			}
			if grant.Client != "acme" || grant.User != "" || grant.Level != LevelApplication ||
				!slices.Equal(grant.Scopes, []string{signingScope, bookingScope}) || !slices.Equal(grant.Products, []string{"signing", "booking"}) ||
				!grant.Expires.Equal(w.clock.Now().Add(599*time.Second)) {
				t.Errorf("grant %+v", grant)
			}
		})
	}
}

// Every row of the table, each with one fault.
func TestRows(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now().Unix()
	good := w.claimsOf("acme")
	header := func(change map[string]any) map[string]any {
		h := map[string]any{"alg": "RS512", "typ": "JWT", "kid": "acme-1"}
		for name, value := range change {
			h[name] = value
			if value == nil {
				delete(h, name)
			}
		}
		return h
	}
	claim := func(name string, value any) url.Values {
		return form(mint(t, "acme-1", with(w.claimsOf("acme"), name, value)))
	}
	head := func(name string, value any) url.Values {
		return form(forge(t, header(map[string]any{name: value}), w.claimsOf("acme")))
	}
	without := func(f url.Values, name string) url.Values { f.Del(name); return f }
	replaced := func(f url.Values, name, value string) url.Values { f.Set(name, value); return f }
	assertion := mint(t, "acme-1", good)
	parts := strings.Split(assertion, ".")
	raw := func(claims string) url.Values {
		data := []byte(claims)
		return form(forge(t, header(nil), json.RawMessage(data)))
	}
	for name, c := range map[string]struct {
		form url.Values
		want row
	}{
		"2 no grant_type":                  {without(form(assertion), "grant_type"), row2},
		"2 empty grant_type":               {replaced(form(assertion), "grant_type", ""), row2},
		"2 nothing":                        {url.Values{}, row2},
		"3 password":                       {replaced(form(assertion), "grant_type", "password"), row3},
		"3 other case":                     {replaced(form(assertion), "grant_type", "Client_Credentials"), row3},
		"4 no type":                        {without(form(assertion), "client_assertion_type"), row4},
		"4 saml":                           {replaced(form(assertion), "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"), row4},
		"5 no assertion":                   {without(form(assertion), "client_assertion"), row5},
		"5 empty assertion":                {form(""), row5},
		"6 a word":                         {form("invalid"), row6},
		"6 two parts":                      {form(parts[0] + "." + parts[1]), row6},
		"6 padded":                         {form(parts[0] + "=." + parts[1] + "." + parts[2]), row6},
		"6 line break":                     {form(assertion + "\n"), row6},
		"6 claims no object":               {raw(`[1]`), row6},
		"6 a claim twice":                  {raw(`{"iss":"acme","iss":"acme"}`), row6},
		"6 a claim in other case":          {raw(`{"iss":"acme","ISS":"acme"}`), row6},
		"6 crit":                           {head("crit", []string{"exp"}), row6},
		"7 RS256":                          {head("alg", "RS256"), row7},
		"7 no alg":                         {head("alg", nil), row7},
		"7 a number":                       {head("alg", 512), row7},
		"7 HS512":                          {head("alg", "HS512"), row7},
		"7 none, unsigned":                 {form(strings.TrimRight(forge(t, map[string]any{"alg": "none", "typ": "JWT"}, good), "A")), row7},
		"8 just now":                       {claim("exp", now), row8},
		"8 a second ago":                   {claim("exp", now-1), row8},
		"8 a string in the past":           {claim("exp", strconv.FormatInt(now-1, 10)), row8},
		"8 zero":                           {claim("exp", 0), row8},
		"8 before 1970":                    {claim("exp", -5), row8},
		"9 no kid":                         {head("kid", nil), row9},
		"9 empty kid":                      {head("kid", ""), row9},
		"9 a kid that is a number":         {head("kid", 7), row9},
		"10 no typ":                        {head("typ", nil), row10},
		"10 other typ":                     {head("typ", "at+jwt"), row10},
		"11 no exp":                        {claim("exp", nil), row11},
		"11 exp null":                      {raw(`{"iss":"acme","sub":"acme","jti":"x","exp":null}`), row11},
		"12 a string in time":              {claim("exp", strconv.FormatInt(now+240, 10)), row12},
		"12 a word":                        {claim("exp", "soon"), row12},
		"12 an object":                     {claim("exp", map[string]any{}), row12},
		"13 no iss":                        {claim("iss", nil), row13},
		"13 no sub":                        {claim("sub", nil), row13},
		"13 unequal":                       {claim("sub", "beta"), row13},
		"13 both empty":                    {form(mint(t, "acme-1", with(with(good, "iss", ""), "sub", ""))), row13},
		"13 numbers":                       {form(mint(t, "acme-1", with(with(good, "iss", 1), "sub", 1))), row13},
		"14 no jti":                        {claim("jti", nil), row14},
		"14 empty jti":                     {claim("jti", ""), row14},
		"15 a number":                      {claim("jti", 1234), row15},
		"15 a list":                        {claim("jti", []string{"x"}), row15},
		"17 too far ahead":                 {claim("exp", now+311), row17},
		"17 beyond all dates":              {claim("exp", 1e300), row17},
		"18 unknown client":                {form(mint(t, "acme-1", w.claimsOf("nobody"))), row18},
		"18 client without any record":     {form(mint(t, "acme-1", w.claimsOf("unlisted"))), row18},
		"20 no key registered":             {form(mint(t, "acme-1", w.claimsOf("keyless"))), row20},
		"21 set cannot be fetched":         {form(mint(t, "acme-1", w.claimsOf("away"))), row21},
		"22 unknown kid":                   {form(mint(t, "acme-2", w.claimsOf("acme"))), row22},
		"22 another client's kid":          {form(mint(t, "beta-1", w.claimsOf("acme"))), row22},
		"23 another's signature":           {form(forge(t, header(nil), good)), row23},
		"23 changed after signing":         {form(parts[0] + "." + strings.Split(mint(t, "acme-1", w.claimsOf("acme")), ".")[1] + "." + parts[2]), row23},
		"23 signature of another length":   {form(parts[0] + "." + parts[1] + "." + parts[2][:336]), row23},
		"24 no aud":                        {claim("aud", nil), row24},
		"24 the issuer":                    {claim("aud", base), row24},
		"24 a list":                        {claim("aud", []string{base + "/token"}), row24},
		"24 with a slash":                  {claim("aud", base+"/token/"), row24},
		"25 no product with such a scope":  {form(mint(t, "acme-1", w.claimsOf("scopeless"))), row25},
		"grant_type twice":                 {url.Values{"grant_type": {"client_credentials", "client_credentials"}}, row{400, ir, "grant_type is given more than once"}},
		"the assertion twice":              {url.Values{"grant_type": {"client_credentials"}, "client_assertion": {"a", "b"}}, row{400, ir, "client_assertion is given more than once"}},
		"the real service's 'exp' example": {claim("exp", "1675784384"), row8},
	} {
		t.Run(name, func(t *testing.T) { mustRefuse(t, w.post(c.form), c.want) })
	}
	t.Run("16 jti used before", func(t *testing.T) {
		if a := w.post(form(assertion)); a.status != http.StatusOK {
			t.Fatalf("the first time: %d %s", a.status, a.body)
		}
		mustRefuse(t, w.post(form(assertion)), row16)
		// Another assertion with that jti is no better; another client's is.
		mustRefuse(t, w.post(form(mint(t, "acme-1", with(good, "exp", now+100)))), row16)
		other := with(w.claimsOf("beta"), "jti", good["jti"])
		if a := w.post(form(mint(t, "beta-1", other))); a.status != http.StatusOK {
			t.Errorf("another client's equal jti: %d %s", a.status, a.body)
		}
	})
	t.Run("16 for as long as the assertion lives", func(t *testing.T) {
		w.clock.Add(239 * time.Second)
		mustRefuse(t, w.post(form(assertion)), row16)
		w.clock.Add(2 * time.Second)
		mustRefuse(t, w.post(form(assertion)), row8)
	})
}

func TestRowsBeforeTheForm(t *testing.T) {
	w := newWorld(t)
	post := func(method, path, contentType string) answer {
		r := httptest.NewRequest(method, path, strings.NewReader(form("x").Encode()))
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		return w.do(r)
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		a := post(method, "/token", "application/json")
		if a.status != http.StatusMethodNotAllowed || a.body != "" || a.header.Get("Allow") != "POST" {
			t.Errorf("0 %s: %d %q %v", method, a.status, a.body, a.header)
		}
	}
	for _, contentType := range []string{"", "application/json", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencodedx"} {
		mustRefuse(t, post("POST", "/token", contentType), row1)
	}
	for _, contentType := range []string{"application/x-www-form-urlencoded; charset=utf-8", "Application/X-WWW-Form-Urlencoded", "application/x-www-form-urlencoded ; odd", "application/x-www-form-urlencoded;"} {
		mustRefuse(t, post("POST", "/token", contentType), row6)
	}
	for _, path := range []string{"/", "/tokens", "/token/", "/authorize2", "/TOKEN", "/_pings"} {
		mustRefuse(t, post("POST", path, "application/json"), row27)
	}
	if a := post("POST", "/_ping", ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST /_ping: %d %v", a.status, a.header)
	}
}

// Of two faults the earlier row answers.
func TestOrderOfRows(t *testing.T) {
	w := newWorld(t)
	now := w.clock.Now().Unix()
	type fault struct {
		row   row
		apply func(f url.Values, header, claims map[string]any)
	}
	header := func(name string, value any) func(url.Values, map[string]any, map[string]any) {
		return func(_ url.Values, h, _ map[string]any) { h[name] = value }
	}
	claim := func(name string, value any) func(url.Values, map[string]any, map[string]any) {
		return func(_ url.Values, _, c map[string]any) { c[name] = value }
	}
	client := func(id string) func(url.Values, map[string]any, map[string]any) {
		return func(_ url.Values, _, c map[string]any) { c["iss"], c["sub"] = id, id }
	}
	// In the order of the table. One fault may hide in another's place: exp and the client are in three rows.
	faults := []fault{
		{row2, func(f url.Values, _, _ map[string]any) { f.Set("grant_type", "") }},
		{row3, func(f url.Values, _, _ map[string]any) { f.Set("grant_type", "x") }},
		{row4, func(f url.Values, _, _ map[string]any) { f.Set("client_assertion_type", "x") }},
		{row5, func(f url.Values, _, _ map[string]any) { f.Set("client_assertion", "") }},
		{row6, func(f url.Values, _, _ map[string]any) { f.Set("client_assertion", "x") }},
		{row7, header("alg", "RS256")},
		{row8, claim("exp", now-1)},
		{row9, header("kid", nil)},
		{row10, header("typ", "x")},
		{row11, claim("exp", nil)},
		{row12, claim("exp", "soon")},
		{row13, claim("sub", "other")},
		{row14, claim("jti", nil)},
		{row15, claim("jti", 7)},
		{row17, claim("exp", now+1000)},
		{row18, client("nobody")},
		{row20, client("keyless")},
		{row21, client("away")},
		{row22, header("kid", "acme-9")},
		{row23, func(url.Values, map[string]any, map[string]any) {}}, // forge signs nothing
	}
	place := func(r row) string { // where a fault sits: two in one place cannot be at once
		switch r {
		case row2, row3:
			return "grant"
		case row5, row6:
			return "assertion"
		case row8, row11, row12, row17:
			return "exp"
		case row14, row15:
			return "jti"
		case row13, row18, row20, row21:
			return "client"
		case row9, row22:
			return "kid"
		}
		return r.description
	}
	for i, first := range faults {
		for _, second := range faults[i+1:] {
			if place(first.row) == place(second.row) {
				continue
			}
			t.Run(strings.TrimSuffix(first.row.description, jwt)+" and "+second.row.description, func(t *testing.T) {
				h := map[string]any{"alg": "RS512", "typ": "JWT", "kid": "acme-1"}
				claims, f := w.claimsOf("acme"), form("")
				for _, fault := range []fault{second, first} {
					fault.apply(url.Values{}, h, claims)
				}
				f.Set("client_assertion", forge(t, h, claims))
				second.apply(f, map[string]any{}, map[string]any{})
				first.apply(f, map[string]any{}, map[string]any{})
				mustRefuse(t, w.post(f), first.row)
			})
		}
	}
	for name, c := range map[string]struct {
		key, client string
		change      func(map[string]any)
		want        row
	}{
		"23 before 24": {"stranger", "acme", func(c map[string]any) { c["aud"] = "x" }, row22},
		"24 before 25": {"acme-1", "scopeless", func(c map[string]any) { c["aud"] = "x" }, row24},
	} {
		t.Run(name, func(t *testing.T) {
			claims := w.claimsOf(c.client)
			c.change(claims)
			mustRefuse(t, w.post(form(mint(t, c.key, claims))), c.want)
		})
	}
}

// One assertion gives one token, however many ask with it at once.
func TestOneAssertionOneToken(t *testing.T) {
	for _, client := range []string{"acme", "limited"} {
		w := newWorld(t)
		f := form(mint(t, "acme-1", w.claimsOf(client)))
		var mu sync.Mutex
		var all sync.WaitGroup
		statuses := map[int]int{}
		for range 100 {
			all.Go(func() {
				a := w.post(f)
				mu.Lock()
				defer mu.Unlock()
				statuses[a.status]++
			})
		}
		all.Wait()
		if statuses[200] != 1 || statuses[400] != 99 {
			t.Errorf("%s: %v", client, statuses)
		}
	}
}

// What a stranger sends in a client's name costs that client nothing.
func TestAStrangerSpendsNothing(t *testing.T) {
	w := newWorld(t)
	claims := w.claimsOf("limited")
	forged := form(forge(t, map[string]any{"alg": "RS512", "typ": "JWT", "kid": "acme-1"}, claims))
	for range 10 {
		mustRefuse(t, w.post(forged), row23)
	}
	// Nor does the client's own assertion for another place, or with no scope behind it.
	mustRefuse(t, w.post(form(mint(t, "acme-1", with(claims, "aud", "https://other.example/token")))), row24)
	if a := w.post(form(mint(t, "acme-1", claims))); a.status != http.StatusOK {
		t.Fatalf("the client's own: %d %s", a.status, a.body)
	}
	asked := w.ring.asked
	for range 5 {
		mustRefuse(t, w.post(form(mint(t, "acme-1", w.claimsOf("nobody")))), row18)
	}
	if w.ring.asked != asked {
		t.Error("an unknown client had a key looked up")
	}
}

func TestRate(t *testing.T) {
	w := newWorld(t)
	used := w.claimsOf("limited")
	if a := w.post(form(mint(t, "acme-1", used))); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	// A replay counts for nothing.
	mustRefuse(t, w.post(form(mint(t, "acme-1", used))), row16)
	var mu sync.Mutex
	var all sync.WaitGroup
	statuses := map[int]int{}
	for range 20 {
		f := form(mint(t, "acme-1", w.claimsOf("limited")))
		all.Go(func() {
			a := w.post(f)
			mu.Lock()
			defer mu.Unlock()
			statuses[a.status]++
		})
	}
	all.Wait()
	if statuses[200] != 2 || statuses[429] != 18 {
		t.Errorf("statuses %v", statuses)
	}
	// Over the rate, row 19 comes before row 16, and no jti is spent.
	fresh := w.claimsOf("limited")
	for _, claims := range []map[string]any{used, fresh} {
		a := w.post(form(mint(t, "acme-1", claims)))
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.fields["message_id"] == "" {
			t.Errorf("19: %d %v %s", a.status, a.header, a.body)
		}
	}
	w.clock.Add(time.Minute)
	if a := w.post(form(mint(t, "acme-1", fresh))); a.status != http.StatusOK {
		t.Errorf("in the next minute: %d %s", a.status, a.body)
	}
	w.token(t, "acme", "acme-1") // others have theirs
}

// Without the store there is no token, and no jti is spent.
func TestTheStoreIsAway(t *testing.T) {
	w := newWorld(t)
	for _, client := range []string{"acme", "limited"} {
		f := form(mint(t, "acme-1", w.claimsOf(client)))
		w.store.fail(store.ErrUnavailable)
		a := w.post(f)
		if a.status != http.StatusServiceUnavailable || a.fields["error"] != "unknown_error" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", client, a.status, a.body)
		}
		w.store.fail(errors.New("odd"))
		if a := w.post(f); a.status != http.StatusInternalServerError || a.fields["error"] != "unknown_error" || strings.Contains(a.body, "odd") {
			t.Errorf("%s: %d %s", client, a.status, a.body)
		}
		w.store.fail(nil)
		if a := w.post(f); a.status != http.StatusOK {
			t.Errorf("%s: the same assertion afterwards: %d %s", client, a.status, a.body)
		}
	}
}

func TestKeysRotateWhileClientsRun(t *testing.T) {
	w := newWorld(t)
	w.token(t, "acme", "acme-1")
	w.ring.set("acme", "acme-1", "acme-2")
	w.token(t, "acme", "acme-1")
	w.token(t, "acme", "acme-2")
	w.ring.set("acme", "acme-2")
	w.token(t, "acme", "acme-2")
	mustRefuse(t, w.post(form(mint(t, "acme-1", w.claimsOf("acme")))), row22)
}

func TestBodies(t *testing.T) {
	w := newWorld(t)
	large := httptest.NewRequest("POST", "/token", strings.NewReader("grant_type="+strings.Repeat("x", MaxBody)))
	broken := httptest.NewRequest("POST", "/token", iotest.ErrReader(errors.New("gone")))
	unreadable := httptest.NewRequest("POST", "/token", strings.NewReader("grant_type=%zz"))
	for status, r := range map[int]*http.Request{413: large, 400: broken} {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if a := w.do(r); a.status != status || a.fields["error"] != "unknown_error" {
			t.Errorf("%d %s, want %d", a.status, a.body, status)
		}
	}
	unreadable.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	mustRefuse(t, w.do(unreadable), row{400, ir, "The request's body is not a readable form"})
	query := httptest.NewRequest("POST", "/token?"+form(mint(t, "acme-1", w.claimsOf("acme"))).Encode(), nil)
	query.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	mustRefuse(t, w.do(query), row2)
}

func TestMessageIDsAreUnique(t *testing.T) {
	w := newWorld(t)
	seen := map[any]bool{}
	for range 50 {
		id := w.post(url.Values{}).fields["message_id"]
		if seen[id] {
			t.Fatalf("message_id %v came twice", id)
		}
		seen[id] = true
	}
}

func TestHealth(t *testing.T) {
	w := newWorld(t)
	if a := w.do(httptest.NewRequest("GET", "/_ping", nil)); a.status != 200 || a.fields["version"] != "v1" {
		t.Errorf("_ping: %d %s", a.status, a.body)
	}
	status := httptest.NewRequest("GET", "/_status", nil)
	if a := w.do(status); a.status != 401 || a.header.Get("WWW-Authenticate") == "" ||
		a.body != `{"error":"Access Denied","error_description":"Invalid api key for _status monitoring endpoint"}` {
		t.Errorf("_status without the key: got status %d, body %s", a.status, a.body)
	}
	status.Header.Set("apikey", "s3cret")
	if a := w.do(status); a.status != 200 || a.fields["status"] != "pass" {
		t.Errorf("_status: %d %s", a.status, a.body)
	}
	a := &auditor{err: errors.New("disk full")}
	w.Auditor = a
	if got := w.do(status); got.fields["status"] != "fail" || !strings.Contains(got.body, `"audit":{"status":"fail","timeout":"false","responseCode":503,"outcome":"unavailable"`) {
		t.Errorf("_status without a place for records: %s", got.body)
	}
	w.AuditOptional = true
	if got := w.do(status); got.fields["status"] != "pass" {
		t.Errorf("_status where records are optional: %s", got.body)
	}
	w.AuditOptional, a.err = false, nil
	if got := w.do(status); got.fields["status"] != "pass" || !strings.Contains(got.body, `"audit":{"status":"pass"`) {
		t.Errorf("_status with room for records: %s", got.body)
	}
	w.store.fail(store.ErrUnavailable)
	if a := w.do(status); a.status != 200 || a.fields["status"] != "fail" {
		t.Errorf("_status without a store: %d %s", a.status, a.body)
	}
}

// The providers are among the checks: with all reached the service passes, without some it warns, without its store it
// fails (TOK-8.14).
func TestHealthOfProviders(t *testing.T) {
	w := newUserWorld(t)
	second := &secondProvider{stub: stub{}}
	w.Service.Providers = append(w.Service.Providers, second)
	away := errors.New("no route to host")
	for _, c := range []struct {
		first, second, store error
		want                 string
	}{
		{nil, nil, nil, "pass"}, {away, nil, nil, "warn"}, {nil, away, nil, "warn"}, {away, away, nil, "warn"},
		{nil, nil, store.ErrUnavailable, "fail"}, {away, away, store.ErrUnavailable, "fail"},
	} {
		w.stub.away, second.away = c.first, c.second
		w.store.fail(c.store)
		r := httptest.NewRequest("GET", "/_status", nil)
		r.Header.Set("apikey", "s3cret")
		got := w.do(r)
		checks, _ := got.fields["checks"].(map[string]any)
		first, _ := checks["nhs-cis2"].(map[string]any)
		wantFirst := "pass"
		if c.first != nil {
			wantFirst = "fail"
		}
		if got.fields["status"] != c.want || len(checks) != 4 || first["status"] != wantFirst || !strings.Contains(got.body, `"self":"https://op.example/`) {
			t.Errorf("%+v: got %s, want %s", c, got.body, c.want)
		}
	}
}

// secondProvider is another one.
type secondProvider struct{ stub }

func (*secondProvider) Name() string { return "second" }

func TestPreflight(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest("OPTIONS", "/token", nil)
	r.Header.Set("Origin", "https://portal.example")
	r.Header.Set("Access-Control-Request-Method", "POST")
	a := w.do(r)
	if a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "https://portal.example" ||
		a.header.Get("Access-Control-Allow-Methods") != "GET, PUT, POST, DELETE" || a.header.Get("Access-Control-Max-Age") != "600" || a.body != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

func TestBaseURLErrorsAreAnswers(t *testing.T) {
	w := newWorld(t)
	w.BaseURL = func(*http.Request) (string, error) {
		return "", &Error{Status: http.StatusMisdirectedRequest, Code: "unknown_error", Description: "no address"}
	}
	mustRefuse(t, w.post(url.Values{}), row{421, "unknown_error", "no address"})
}
