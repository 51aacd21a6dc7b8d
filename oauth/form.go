package oauth

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
)

// Bounds of a token request.
const (
	MaxBody     = 64 << 10 // bytes of the form; an assertion has some 1,200
	readTimeout = 10 * time.Second
)

// What is there for callers by default: forms that are read or looked at at one time, each of which has the memory for
// the largest, and people who come back from their provider.
const (
	MaxForms   = 1024
	MaxSignIns = 1024
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

	// of shorter lives, in milliseconds (TOK-8.1)
	paramAccessLife    = "_access_token_expiry_ms"
	paramRefreshLife   = "_refresh_token_expiry_ms"
	paramRefreshWindow = "_refresh_tokens_validity_ms"
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

// withForm reads the body as a form, bounded in size and time, and has use do what it asks for. The form has its place
// among those of the group until then. If it has to give that up for others, that is the error, and nobody is told a
// refusal that comes of the context's end.
func (o *Options) withForm(w http.ResponseWriter, r *http.Request, use func(place *intake.Taken, form url.Values) error) error {
	place, err := o.Forms.Take(w, r)
	if err != nil {
		return err
	}
	defer place.Release()
	form, err := readForm(place)
	if err == nil {
		err = use(place, form)
	}
	if err != nil && place.GivenUp() {
		return share.ErrGivenUp
	}
	return err
}

func readForm(place *intake.Taken) (url.Values, error) {
	body, err := place.Read(MaxBody, readTimeout)
	switch {
	case errors.Is(err, intake.ErrTooLarge):
		return nil, unforeseen(http.StatusRequestEntityTooLarge, "A token request has at most %d bytes", MaxBody)
	case err != nil:
		return nil, unforeseen(http.StatusBadRequest, "The request's body did not arrive whole").withDetail(err.Error())
	}
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
