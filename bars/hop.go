package bars

import (
	"net/http"
	"strings"
)

// HeaderAnsweredBy tells, between our own gateways, whether an answer is the proxy's own or the receiver's (BAR-5.26).
const HeaderAnsweredBy = "Countersign-Answered-By"

// The values of HeaderAnsweredBy.
const (
	ByProxy    = "proxy"
	ByReceiver = "receiver"
)

// hopHeaders belong to one connection (RFC 9110 §7.6.1), besides those that Connection names.
var hopHeaders = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade", "Http2-Settings",
	"Proxy-Authenticate", "Proxy-Authorization",
}

// DropHop removes the headers that belong to one hop alone (BAR-5.22): a client's offer of another protocol, such as that
// of Java's own client for h2c, ends at the first of our gateways.
func DropHop(header http.Header) {
	for _, value := range header.Values("Connection") {
		for name := range strings.SplitSeq(value, ",") {
			header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopHeaders {
		header.Del(name)
	}
}

// IsSafe reports whether a request changes nothing, so that it may be sent twice.
func IsSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// SendOnce keeps Go's transport from sending a request again that changes something (BAR-5.25). The transport takes the
// headers Idempotency-Key and X-Idempotency-Key, under exactly these names, for leave to do so; in small letters they
// mean the same to everybody else.
func SendOnce(r *http.Request) {
	if IsSafe(r.Method) {
		return
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, has := r.Header[name]; has {
			delete(r.Header, name)
			r.Header[strings.ToLower(name)] = values
		}
	}
}

// Transports send what may be sent twice over any kept connection, and the rest only over one that was used so recently
// that its other end is not about to close it.
type Transports struct {
	Repeatable http.RoundTripper
	Once       http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t Transports) RoundTrip(r *http.Request) (*http.Response, error) {
	if IsSafe(r.Method) {
		return t.Repeatable.RoundTrip(r)
	}
	return t.Once.RoundTrip(r)
}
