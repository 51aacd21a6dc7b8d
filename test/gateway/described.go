package gateway

import (
	"bufio"
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
	barsDescription    = "bars/openapi/openapi.json"
	epsDescription     = "eps/openapi/openapi.json"
	adminDescription   = "caddymodule/adminapi/openapi/openapi.json"
)

// mounts are where the tests have what is described, but for Signing Services, which are below any one segment.
var mounts = map[string]string{
	"/oauth2":                           tokenDescription,
	"/booking-and-referral/FHIR/R4":     barsDescription,
	"/electronic-prescriptions/FHIR/R4": epsDescription,
	"/countersign":                      adminDescription,
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
	asked, err := pathOf(request.URL)
	if err != nil {
		return err
	}
	for mount, file := range mounts {
		if path, below := strings.CutPrefix(asked, mount+"/"); below {
			return judgeBy(file, request, "/"+path, answer)
		}
	}
	mount, path, _ := strings.Cut(strings.TrimPrefix(asked, "/"), "/")
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
	if file, name := senderAnswer(answer); file != "" {
		document, err := descriptions[file]()
		if err != nil {
			return err
		}
		return document.Response(name, request, answer)
	}
	if answer.Header.Get("Content-Type") == "application/fhir+json" {
		return nil // a BaRS proxy's, over a sender
	}
	if mount == "demo" || answer.Header.Get("X-Request-Id") == "" {
		return nil // not a Signing Service's
	}
	return signing.Judge(request, "/"+path, answer)
}

// senderAnswer says as what an answer of apim_sender's own is described. What it passes on is not.
func senderAnswer(answer descriptiontest.Answer) (file, name string) {
	if answer.Header.Get("Via") != "" {
		return "", ""
	}
	kind := answer.Header.Get("Content-Type")
	names := map[int]string{http.StatusBadRequest: "SenderRefused", http.StatusBadGateway: "SenderFailed", http.StatusGatewayTimeout: "SenderTimedOut"}
	switch {
	case kind == "application/fhir+json":
		file = barsDescription
	case kind == "application/json" && (bytes.Contains(answer.Body, []byte(`"error":"no_token"`)) || bytes.Contains(answer.Body, []byte(`"error":"unknown_provider"`))):
		file = tokenDescription
	}
	if names[answer.Status] == "" {
		file = ""
	}
	return file, names[answer.Status]
}

// pathOf is the path that is asked for, which a test may have written byte for byte.
func pathOf(address *url.URL) (string, error) {
	if address.Opaque == "" {
		return address.Path, nil
	}
	path, _, _ := strings.Cut(address.Opaque, "?")
	return url.PathUnescape(path)
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

// MustAnswerAs holds an answer to a reusable response of a description, which parts without paths of their own give. What
// is given is the answer as it came over HTTP.
func MustAnswerAs(t testing.TB, file, name string, came []byte) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, "/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(came)), request)
	if err != nil {
		t.Fatalf("%v\n%s", err, came)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	document, err := descriptions[file]()
	if err == nil {
		err = document.Response(name, request, descriptiontest.Answer{Status: response.StatusCode, Header: response.Header, Body: body})
	}
	if err != nil {
		t.Errorf("the answer is not as %s is described: %v\n%s", name, err, came)
	}
}

// IsEvent holds a webhook's body to its description.
func IsEvent(value []byte) error {
	document, err := descriptions[signingDescription]()
	if err != nil {
		return err
	}
	return document.Schema("Event", value)
}

// MustBeDescribed holds that an address links to the description of what is beside it, which is served as it stands in
// the repository.
func MustBeDescribed(t testing.TB, from, file string) {
	t.Helper()
	link := regexp.MustCompile(`^<([^>]+)>; rel="service-desc"; type="application/json"$`).FindStringSubmatch(Get(t, from, nil).Header.Get("Link"))
	if link == nil {
		t.Fatalf("%s links to no description", from)
	}
	base, err := url.Parse(from)
	if err != nil {
		t.Fatal(err)
	}
	address, err := base.Parse(link[1])
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
	barsDescription:    sync.OnceValues(func() (*descriptiontest.Document, error) { return load(barsDescription) }),
	epsDescription:     sync.OnceValues(func() (*descriptiontest.Document, error) { return load(epsDescription) }),
	adminDescription:   sync.OnceValues(func() (*descriptiontest.Document, error) { return load(adminDescription) }),
}

func load(file string) (*descriptiontest.Document, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	return descriptiontest.Load(filepath.Join(dir, file))
}
