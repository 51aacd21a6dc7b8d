package gateway

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// Canaries are made-up secrets of every form. A test has requests carry them, and then looks for them in whatever the
// gateway has written.
type Canaries struct {
	Token, Bearer, JWT, Cookie, CSRF, APIKey, Code, State, Patient string
}

// NewCanaries makes secrets that occur nowhere else.
func NewCanaries() Canaries {
	opaque := func(name string) string {
		return name + base64.RawURLEncoding.EncodeToString([]byte("C4nary of a "+name+" 0123456789"))
	}
	segment := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return Canaries{
		Token: uuid.NewString(), Bearer: opaque("bearer"), Cookie: opaque("cookie"), CSRF: opaque("csrf"), APIKey: opaque("apikey"),
		Code: opaque("code"), State: opaque("state"), Patient: "9990548609",
		JWT: segment(`{"alg":"RS512","typ":"JWT"}`) + "." + segment(`{"iss":"canary","sub":"555086689107"}`) + "." + segment("a canary's signature"),
	}
}

// All are the secrets in each form in which they could be written.
func (c Canaries) All() []string {
	return []string{c.Token, c.Bearer, c.JWT, c.Cookie, c.CSRF, c.APIKey, c.Code, c.State, c.Patient, strings.ReplaceAll(c.Token, "-", ""),
		base64.StdEncoding.EncodeToString([]byte(c.Token))}
}

// Send has requests carry all of them to an address, in the query, in the header and in bodies of three types.
func (c Canaries) Send(t testing.TB, client *http.Client, method, address string) {
	t.Helper()
	query := url.Values{"token": {c.Token}, "code": {c.Code}, "state": {c.State}, "patient:identifier": {"https://fhir.nhs.uk/Id/nhs-number|" + c.Patient},
		"id": {c.Token}, "error_description": {c.State}, "access_token": {c.Bearer}}
	form := url.Values{"code": {c.Code}, "client_secret": {c.APIKey}, "client_assertion": {c.JWT}, "refresh_token": {c.Bearer}, "logout_token": {c.JWT},
		"grant_type": {"authorization_code"}, "token": {c.Token}}.Encode()
	for mediaType, body := range map[string]string{"application/x-www-form-urlencoded": form, "application/json": `{"token":"` + c.Token + `"}`, "text/plain": c.JWT} {
		r, err := http.NewRequestWithContext(t.Context(), method, address+"?"+query.Encode(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Content-Type": mediaType, "Authorization": "Bearer " + c.Bearer, "Cookie": "countersign-page=" + c.Cookie, "X-CSRF-Token": c.CSRF,
			"Apikey": c.APIKey, "Referer": "http://localhost/client?token=" + c.Token + "&code=" + c.Code, "X-Original-Uri": "/x?token=" + c.Token,
			"X-Auth-Token": c.Bearer, "NHSD-Identity-UUID": c.Patient, "NHSD-Session-URID": c.Patient, "Origin": strings.TrimSuffix(address, r.URL.Path),
		} {
			r.Header.Set(name, value)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
}

// Described returns the methods of each path of a description in the repository, with a canary in place of each parameter.
func (c Canaries) Described(t testing.TB, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), file))
	if err != nil {
		t.Fatal(err)
	}
	var description struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(text, &description); err != nil {
		t.Fatal(err)
	}
	found := map[string][]string{}
	for path, methods := range description.Paths {
		for _, name := range []string{"{token}", "{id}", "{file}", "{node}"} {
			path = strings.ReplaceAll(path, name, c.Token)
		}
		found[path] = slices.Collect(maps.Keys(methods))
	}
	return found
}
