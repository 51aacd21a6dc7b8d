package descriptiontest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// The reusable responses that answer what a description has no path, or no method, for. A document without them says
// no more of these answers than their status.
const (
	noEndpoint = "NoEndpoint"
	noMethod   = "MethodNotAllowed"
)

// Answer is what came back to a request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Judge holds an answer to the description. The path is the request's, below where the described endpoints are.
func (d *Document) Judge(request *http.Request, path string, answer Answer) error {
	router, of := d.router, strict
	if answer.passedOn() {
		router, of = d.whole, validate
	}
	below := request.Clone(context.WithoutCancel(request.Context()))
	below.URL.Path, below.URL.RawPath = path, ""
	route, parameters, err := router.FindRoute(below)
	if unknown, is := errors.AsType[*routers.RouteError](err); is {
		return d.elsewhere(unknown, below, answer)
	}
	if err != nil {
		return err
	}
	return of(&openapi3filter.RequestValidationInput{Request: below, PathParams: parameters, Route: route}, answer)
}

// passedOn says whether an answer may be somebody else's, of which the description knows little: it came over a reverse
// proxy, and lacks what every answer of a gateway's own says.
func (a Answer) passedOn() bool {
	return a.Header.Get("Via") != "" && a.Header.Get("Cache-Control") != "no-store"
}

// elsewhere judges an answer to what the description does not have.
func (d *Document) elsewhere(why *routers.RouteError, request *http.Request, answer Answer) error {
	status, name := http.StatusNotFound, noEndpoint
	if errors.Is(why, routers.ErrMethodNotAllowed) {
		status, name = http.StatusMethodNotAllowed, noMethod
	}
	if answer.Status != status {
		return fmt.Errorf("the description has no such path or method (%s)", why.Reason)
	}
	if d.doc.Components.Responses[name] == nil {
		return nil
	}
	return d.Response(name, request, answer)
}

// Response holds an answer to a reusable response of the description, which other parts of a gateway answer with.
func (d *Document) Response(name string, request *http.Request, answer Answer) error {
	found := d.doc.Components.Responses[name]
	if found == nil {
		return fmt.Errorf("the description has no response %s", name)
	}
	operation := &openapi3.Operation{Responses: openapi3.NewResponses(openapi3.WithStatus(answer.Status, found))}
	route := &routers.Route{Spec: d.doc, Method: request.Method, Operation: operation}
	return strict(&openapi3filter.RequestValidationInput{Request: request, Route: route}, answer)
}

func validate(asked *openapi3filter.RequestValidationInput, answer Answer) error {
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: asked, Status: answer.Status, Header: answer.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	return openapi3filter.ValidateResponse(asked.Request.Context(), input.SetBodyBytes(answer.Body))
}

// strict is validate, and finds what that lets pass: a status that it never looks at, a body where none is described,
// and header fields that are not described.
func strict(asked *openapi3filter.RequestValidationInput, answer Answer) error {
	if err := validate(asked, answer); err != nil {
		return err
	}
	if asked.Request.Method == http.MethodHead { // answered as GET is, but for the body
		return nil
	}
	described := asked.Route.Operation.Responses.Status(answer.Status)
	if described == nil {
		return fmt.Errorf("the status %d is not described", answer.Status)
	}
	if len(described.Value.Content) == 0 && len(answer.Body) > 0 {
		return fmt.Errorf("a body of %d bytes is not described", len(answer.Body))
	}
	known := slices.Clone(everywhere)
	for name := range described.Value.Headers {
		known = append(known, http.CanonicalHeaderKey(name))
	}
	for name := range answer.Header {
		if !slices.Contains(known, name) {
			return fmt.Errorf("the header %s is not described", name)
		}
	}
	return nil
}

// everywhere are the header fields that any server of HTTP may send, and what tells browsers and caches to be careful.
var everywhere = strings.Fields(`
	Accept-Ranges Alt-Svc Cache-Control Connection Content-Encoding Content-Length Content-Type Date Last-Modified
	Referrer-Policy Server Transfer-Encoding Vary Via X-Content-Type-Options`)

// Has says whether the description has a path with the request's method.
func (d *Document) Has(request *http.Request, path string) bool {
	below := request.Clone(context.WithoutCancel(request.Context()))
	below.URL.Path, below.URL.RawPath = path, ""
	_, _, err := d.router.FindRoute(below)
	return err == nil
}
