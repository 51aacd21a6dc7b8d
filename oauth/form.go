package oauth

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Bounds of a token request.
const (
	MaxBody     = 64 << 10 // bytes of the form; an assertion has some 1,200
	readTimeout = 10 * time.Second
	maxReading  = 1024 // forms that are read or looked at at one time
)

// The parameters of a token request that are looked at. Others, such as scope, are ignored.
const (
	paramGrantType     = "grant_type"
	paramAssertionType = "client_assertion_type"
	paramAssertion     = "client_assertion"

	// of tokens with a user
	paramClientID         = "client_id"
	paramClientSecret     = "client_secret"
	paramRedirectURI      = "redirect_uri"
	paramCode             = "code"
	paramVerifier         = "code_verifier"
	paramRefreshToken     = "refresh_token"
	paramSubjectToken     = "subject_token"
	paramSubjectTokenType = "subject_token_type"
)

// readParams are the parameters of which a form holds one at most (RFC 6749 §3.2).
var readParams = []string{
	paramGrantType, paramAssertionType, paramAssertion, paramClientID, paramClientSecret, paramRedirectURI, paramCode,
	paramVerifier, paramRefreshToken, paramSubjectToken, paramSubjectTokenType,
}

// isForm looks at the media type alone; parameters such as charset are fine.
func isForm(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "application/x-www-form-urlencoded")
}

// readForm reads the body as a form, bounded in size and time.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(readTimeout)) // a server that cannot has a deadline of its own
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, unforeseen(http.StatusRequestEntityTooLarge, "A token request has at most %d bytes", MaxBody)
	}
	if err != nil {
		return nil, unforeseen(http.StatusBadRequest, "The request's body did not arrive whole").withDetail(err.Error())
	}
	_ = control.SetReadDeadline(time.Time{})
	return parseForm(string(body))
}

// parseForm reads a form strictly: a parameter that is looked at stands in it once at most (RFC 6749 §3.2).
func parseForm(body string) (url.Values, error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, invalidForm("The request's body is not a readable form")
	}
	for _, name := range readParams {
		if len(form[name]) > 1 {
			return nil, invalidForm(name + " is given more than once")
		}
	}
	return form, nil
}

func invalidForm(description string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: codeInvalidRequest, Description: description}
}
