package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// described is a transport that holds every answer of a Signing Service to its OpenAPI description: the status, the
// header fields, the media type and the JSON. What the description does not have is an error, as if no answer had
// come. A service is known by where the tests mount it, which is below one segment of the path.
type described struct{ next http.RoundTripper }

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
	if err := judge(request, response, body); err != nil {
		return nil, fmt.Errorf("the answer %d is not as it is described: %w\n%.600s", response.StatusCode, err, body)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

func judge(request *http.Request, response *http.Response, body []byte) error {
	router, err := description()
	if err != nil {
		return err
	}
	mount, _, _ := strings.Cut(strings.TrimPrefix(request.URL.Path, "/"), "/")
	if mount == "demo" || response.Header.Get("X-Request-Id") == "" {
		return nil // not a Signing Service's
	}
	below := request.Clone(context.WithoutCancel(request.Context()))
	below.URL.Path, below.URL.RawPath = strings.TrimPrefix(request.URL.Path, "/"+mount), ""
	route, parameters, err := router.FindRoute(below)
	var unknown *routers.RouteError
	if errors.As(err, &unknown) {
		return elsewhere(unknown, response.StatusCode)
	}
	if err != nil {
		return err
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: below, PathParams: parameters, Route: route},
		Status:                 response.StatusCode, Header: plainType(response.Header),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	return openapi3filter.ValidateResponse(below.Context(), input.SetBodyBytes(body))
}

// elsewhere judges an answer to what the description does not have.
func elsewhere(why *routers.RouteError, status int) error {
	want := http.StatusNotFound
	if errors.Is(why, routers.ErrMethodNotAllowed) {
		want = http.StatusMethodNotAllowed
	}
	if status != want {
		return fmt.Errorf("the description has no such path or method (%s)", why.Reason)
	}
	return nil
}

// plainType takes the key sets' media type for what it is, JSON, since the validator goes by a list of names.
func plainType(header http.Header) http.Header {
	kind, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err == nil && kind == "application/jwk-set+json" {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.JSONBodyDecoder)
	}
	return header
}

// Described holds a value in JSON, such as a webhook's body, to a schema of the description.
func Described(schema string, value []byte) error {
	doc, err := document()
	if err != nil {
		return err
	}
	found := doc.Components.Schemas[schema]
	if found == nil {
		return fmt.Errorf("the description has no schema %s", schema)
	}
	var parsed any
	if err := json.Unmarshal(value, &parsed); err != nil {
		return err
	}
	return found.Value.VisitJSON(parsed)
}

// description is the description's router.
var description = sync.OnceValues(func() (routers.Router, error) {
	doc, err := document()
	if err != nil {
		return nil, err
	}
	doc.Servers = nil // the tests' services are below any path
	return gorillamux.NewRouter(doc)
})

// document is the description, without room for what it does not describe.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "signing", "openapi", "openapi.json"))
	if err != nil {
		return nil, err
	}
	var parsed any
	if err := json.Unmarshal(text, &parsed); err != nil {
		return nil, err
	}
	seal(parsed)
	if text, err = json.Marshal(parsed); err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(text)
})

// seal lets no object have members that are not described, since a test should find what the description lacks;
// clients are told to take them.
func seal(part any) {
	switch part := part.(type) {
	case map[string]any:
		_, object := part["properties"].(map[string]any)
		_, decided := part["additionalProperties"]
		_, refers := part["$ref"]
		if object && !decided && !refers {
			part["additionalProperties"] = false
		}
		for _, inner := range part {
			seal(inner)
		}
	case []any:
		for _, inner := range part {
			seal(inner)
		}
	}
}
