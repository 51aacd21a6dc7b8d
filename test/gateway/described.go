package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
)

// The descriptions, below the root of the repository.
const (
	signingDescription = "signing/openapi/openapi.json"
	tokenDescription   = "oauth/openapi/openapi.json"
)

// mounts are where the tests have what is described, but for Signing Services, which are below any one segment.
var mounts = map[string]string{
	"/oauth2": tokenDescription,
}

// described is a transport that holds every answer of what is described to its OpenAPI description: the status, the
// header fields, the media type and the JSON. What the description does not have is an error, as if no answer had come.
type described struct{ next http.RoundTripper }

// Described is a transport that takes no answer of the product which is not as it is described.
func Described(next http.RoundTripper) http.RoundTripper { return described{next} }

// RoundTrip passes a request on and judges the answer.
func (d described) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := d.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if err := judge(request, descriptiontest.Answer{Status: response.StatusCode, Header: response.Header, Body: body}); err != nil {
		return nil, fmt.Errorf("the answer %d is not as it is described: %w\n%.600s", response.StatusCode, err, body)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

func judge(request *http.Request, answer descriptiontest.Answer) error {
	for mount, file := range mounts {
		if path, below := strings.CutPrefix(request.URL.Path, mount+"/"); below {
			return judgeBy(file, request, "/"+path, answer)
		}
	}
	mount, path, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
	signing, err := descriptions[signingDescription]()
	if err != nil {
		return err
	}
	if name := tokenRefusals[answer.Status]; refusedToken(answer) && !signing.Has(request, "/"+path) { // apim_bearer stands before it
		tokens, err := descriptions[tokenDescription]()
		if err != nil {
			return err
		}
		return tokens.Response(name, request, answer)
	}
	if mount == "demo" || answer.Header.Get("X-Request-Id") == "" {
		return nil // not a Signing Service's
	}
	return signing.Judge(request, "/"+path, answer)
}

// tokenRefusals are the reusable responses of what apim_bearer answers.
var tokenRefusals = map[int]string{
	http.StatusUnauthorized: "TokenRefused", http.StatusForbidden: "TokenInsufficient",
}

// refusedToken says whether an answer is about an access token (RFC 6750 §3).
func refusedToken(answer descriptiontest.Answer) bool {
	return strings.HasPrefix(answer.Header.Get("WWW-Authenticate"), "Bearer")
}

func judgeBy(file string, request *http.Request, path string, answer descriptiontest.Answer) error {
	document, err := descriptions[file]()
	if err != nil {
		return err
	}
	return document.Judge(request, path, answer)
}

// IsEvent holds a webhook's body to its description.
func IsEvent(value []byte) error {
	document, err := descriptions[signingDescription]()
	if err != nil {
		return err
	}
	return document.Schema("Event", value)
}

// MustBeDescribed holds that what is below an address links from its /_ping to its description, and serves it as it
// stands in the repository.
func MustBeDescribed(t testing.TB, base, file string) {
	t.Helper()
	link := regexp.MustCompile(`^<([^>]+)>; rel="service-desc"; type="application/json"$`).FindStringSubmatch(Get(t, base+"/_ping", nil).Header.Get("Link"))
	if link == nil {
		t.Fatalf("%s/_ping links to no description", base)
	}
	from, err := url.Parse(base + "/_ping")
	if err != nil {
		t.Fatal(err)
	}
	address, err := from.Parse(link[1])
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(Root(t), file))
	if err != nil {
		t.Fatal(err)
	}
	answer := Get(t, address.String(), nil)
	if answer.Status != http.StatusOK || string(answer.Body) != string(want) {
		t.Errorf("%s was answered %d with %d bytes", address, answer.Status, len(answer.Body))
	}
	again := Get(t, address.String(), http.Header{"If-None-Match": {answer.Header.Get("ETag")}})
	if again.Status != http.StatusNotModified {
		t.Errorf("asked whether it still holds, %s was answered %d", address, again.Status)
	}
}

// descriptions are read once.
var descriptions = map[string]func() (*descriptiontest.Document, error){
	signingDescription: sync.OnceValues(func() (*descriptiontest.Document, error) { return load(signingDescription) }),
	tokenDescription:   sync.OnceValues(func() (*descriptiontest.Document, error) { return load(tokenDescription) }),
}

func load(file string) (*descriptiontest.Document, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	return descriptiontest.Load(filepath.Join(dir, file))
}
