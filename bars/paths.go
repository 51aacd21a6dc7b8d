package bars

import (
	"net/http"
	"slices"
	"strings"

	"github.com/seed-dd2befc3/countersign/description"
)

// resources are the resource types of versions 1.0 to 1.4 of the standard. The proxy forwards any other path too
// (BAR-5.17); these are the ones that the log and the metrics name.
var resources = []string{
	"Appointment", "DocumentReference", "Endpoint", "HealthcareService", "MessageDefinition", "Organization", "ServiceRequest", "Slot",
}

// endpointOf names the endpoint of a path, of which there are few, for the log and the metrics.
func endpointOf(path string) string {
	switch path {
	case "/_ping", "/_status", description.Path, "/metadata", "/$process-message", "/Endpoint/$template":
		return path
	}
	name, id, below := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch {
	case !slices.Contains(resources, name) || strings.Contains(id, "/"):
		return "other"
	case below:
		return "/" + name + "/{id}"
	}
	return "/" + name
}

// reads reports whether a request is one for reading the proxy's own endpoints.
func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// climbs reports whether a path could leave the receiver's base: a segment of dots, also where a receiver takes a
// backslash for a slash, or drops what follows a semicolon.
func climbs(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(c rune) bool { return c == '/' || c == '\\' }) {
		name, _, _ := strings.Cut(segment, ";")
		if name == "." || name == ".." {
			return true
		}
	}
	return false
}

// isPreflight reports whether a browser asks, before its request, whether a page may send it (BAR-5.19).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// preflight lets pages of any site ask: nothing here rests on a cookie.
func preflight(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	Echo(header, r)
	header.Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	header.Set("Access-Control-Allow-Methods", "GET, PUT, POST, PATCH, DELETE")
	header.Set("Access-Control-Allow-Headers", "origin, x-requested-with, accept, content-type, authorization, nhsd-target-identifier, "+
		"nhsd-end-user-organisation, nhsd-requesting-software, x-request-id, x-correlation-id")
	header.Set("Access-Control-Max-Age", "600")
	header.Add("Vary", "Origin")
	header.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
}
