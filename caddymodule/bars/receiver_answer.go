package bars

import (
	"io"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/seed-dd2befc3/countersign/bars"
)

// receiverAnswer is the system's answer on its way to the proxy: with the request's own ids, and never 403, which is
// reserved for refused callers.
type receiverAnswer struct {
	*caddyhttp.ResponseWriterWrapper
	request *http.Request
	begun   bool // whether the header was sent
	kept403 bool
}

// WriteHeader sends the status and the headers.
func (a *receiverAnswer) WriteHeader(status int) {
	if a.begun {
		return
	}
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		a.begun = true
		for _, name := range []string{bars.HeaderRequestID, bars.HeaderCorrelationID} {
			if id := a.request.Header.Get(name); id != "" {
				a.Header().Set(name, id)
			}
		}
		if status == http.StatusForbidden {
			a.kept403, status = true, http.StatusUnprocessableEntity
		}
	}
	a.ResponseWriterWrapper.WriteHeader(status)
}

// Write sends part of the body.
func (a *receiverAnswer) Write(data []byte) (int, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriterWrapper.Write(data)
}

// FlushError flushes what was written.
func (a *receiverAnswer) FlushError() error {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// ReadFrom copies a body without an intermediate buffer.
func (a *receiverAnswer) ReadFrom(from io.Reader) (int64, error) {
	if !a.begun {
		a.WriteHeader(http.StatusOK)
	}
	return a.ResponseWriterWrapper.ReadFrom(from)
}

// dropForged deletes headers that claim what only TLS can prove. Load balancers use many names for a caller's
// certificate, and the system behind may trust any of them (RFC 9440 among them).
func dropForged(header http.Header) {
	for name := range header {
		if claimsCertificate(name) {
			delete(header, name)
		}
	}
}

// claims lists the name parts by which load balancers report a caller's certificate, each with a word that the header
// name must contain before the parts are compared.
var claims = []struct {
	word  string
	parts []string
}{
	{"cert", []string{""}},
	{"xfcc", []string{""}},
	{"client", []string{"clientdn", "clientsdn", "clientidn", "clientcn", "clientsan", "clientserial", "clientfingerprint", "clientthumbprint",
		"clientverify", "clientsubject", "clientissuer", "sslclient", "tlsclient"}},
	{"ssl", []string{"sslsubject", "sslissuer", "ssldn", "sslsdn", "sslidn", "sslcn", "sslserial", "sslfingerprint", "sslverif"}},
	{"subject", []string{""}},
	{"peer", []string{""}},
	{"x509", []string{""}},
	{"spiffe", []string{""}},
	{"dn", []string{"issuerdn", "certdn", "userdn", "callerdn", "forwardeddn"}},
	{"user", []string{"remoteuser", "forwardeduser", "authenticateduser", "authuser"}},
	{"identity", []string{"remoteidentity", "calleridentity", "clientidentity", "forwardedidentity"}},
	{"tls", []string{"mtls", "tlssubject", "tlsissuer", "tlsdn", "tlscn", "tlsserial", "tlsfingerprint", "tlsverif"}},
}

// claimsCertificate matches a header name, ignoring case, hyphens, underscores and dots. It runs for each header of
// each request, so most names are settled after a few comparisons. Any name that contains "certificate" counts as a
// claim: the standard has no such header.
func claimsCertificate(name string) bool {
	letters := make([]byte, 0, 64)
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-' || c == '_' || c == '.':
		case 'A' <= c && c <= 'Z':
			letters = append(letters, c+'a'-'A')
		default:
			letters = append(letters, c)
		}
	}
	plain := string(letters)
	for _, claim := range claims {
		if !strings.Contains(plain, claim.word) {
			continue
		}
		for _, part := range claim.parts {
			if strings.Contains(plain, part) {
				return true
			}
		}
	}
	return false
}
