package descriptiontest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// The reusable responses for requests whose path or method is not described. In a document without them only the status
// of these answers is checked.
const (
	noEndpoint = "NoEndpoint"
	noMethod   = "MethodNotAllowed"
)

// Answer is the response to a request.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Judge checks an answer against the description. The path is the request's, relative to the described endpoints.
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

// passedOn reports whether an answer may be that of another service, about which the description says little: it came
// through a reverse proxy and lacks what every answer of the gateway has.
func (a Answer) passedOn() bool {
	return a.Header.Get("Via") != "" && a.Header.Get("Cache-Control") != "no-store"
}

// elsewhere judges an answer to a request that is not described. A description of a proxy that takes any path and method
// says in x-elsewhere as which reusable response each of its own statuses is described.
func (d *Document) elsewhere(why *routers.RouteError, request *http.Request, answer Answer) error {
	if names, is := d.doc.Extensions["x-elsewhere"].(map[string]any); is {
		if answer.passedOn() {
			return nil
		}
		name, _ := names[strconv.Itoa(answer.Status)].(string)
		return d.Response(name, request, answer)
	}
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

// Response checks an answer against a reusable response, which components without paths of their own use.
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

// strict is validate, but also finds undescribed statuses, bodies and header fields, which validate ignores.
func strict(asked *openapi3filter.RequestValidationInput, answer Answer) error {
	if err := validate(asked, answer); err != nil {
		return err
	}
	if asked.Request.Method == http.MethodHead { // answered like GET, but without a body
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

// everywhere lists the header fields that any HTTP server may send, those that make browsers and caches careful, and the
// one by which our own gateways tell each other who answers.
var everywhere = strings.Fields(`
	Accept-Ranges Alt-Svc Cache-Control Connection Content-Encoding Content-Length Content-Type Countersign-Answered-By Date Last-Modified
	Referrer-Policy Server Transfer-Encoding Vary Via X-Content-Type-Options`)

// Has reports whether the description has the path and the method of the request.
func (d *Document) Has(request *http.Request, path string) bool {
	below := request.Clone(context.WithoutCancel(request.Context()))
	below.URL.Path, below.URL.RawPath = path, ""
	_, _, err := d.router.FindRoute(below)
	return err == nil
}
