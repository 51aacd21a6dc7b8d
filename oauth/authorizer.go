package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// Authorizer answers what browsers and the OpenID provider meet of tokens with a user: /authorize, /callback,
// /userinfo and /backchannel_logout, below the token service's base path. It remembers nothing itself, so any node
// takes over from any other.
//
//	/authorize ──302──▶ provider ──302──▶ /callback ──302──▶ the client's redirect_uri?code&state
//	    │ browser: login, sealed (10 min)     │ store: state used, family and code (2 min)
//
// A login belongs to the browser that began it, which keeps it in a cookie that it can neither read nor change; what
// proves it to the provider, the PKCE verifier, is in it. The store learns of it when somebody has really signed in: in
// the commit that makes the code, and that uses the state up on every node. Whoever only begins leaves nothing.
type Authorizer struct {
	Options
	AuthorizerOptions
}

// AuthorizerOptions are what an Authorizer needs besides Options. All are mandatory.
type AuthorizerOptions struct {
	Provider Provider // that people sign in at
	Checker  *Checker // of the tokens that /userinfo is shown
	// Seal is the secret that logins are sealed with while browsers keep them: 32 random bytes that all nodes share.
	Seal func(context.Context) ([]byte, error)
	// RefuseBearer answers /userinfo where Checker refused, in the shape of a resource that has none of its own.
	RefuseBearer func(w http.ResponseWriter, r *http.Request, err error)
}

// NewAuthorizer makes an Authorizer. It opens nothing and starts nothing.
func NewAuthorizer(options Options, more AuthorizerOptions) (*Authorizer, error) {
	if err := options.complete(); err != nil {
		return nil, err
	}
	if more.Provider == nil || more.Checker == nil || more.Seal == nil || more.RefuseBearer == nil {
		return nil, errors.New("an authorizer needs a provider, a checker, a secret to seal with and a way to refuse")
	}
	return &Authorizer{options, more}, nil
}

// The endpoints of an Authorizer.
const (
	pathAuthorize = "/authorize"
	pathCallback  = "/callback"
	pathUserInfo  = "/userinfo"
	pathLogout    = "/backchannel_logout"
	pathOldLogout = "/backchannel-logout" // as older versions spelt it; providers may have it registered
)

// Answers says whether the path is one of the authorizer's.
func (*Authorizer) Answers(path string) bool {
	switch path {
	case pathAuthorize, pathCallback, pathUserInfo, pathLogout, pathOldLogout:
		return true
	}
	return false
}

// ServeHTTP answers one of the endpoints, and writes one line to the log for each refusal.
func (a *Authorizer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	told := a.began(r)
	told.Endpoint = r.URL.Path
	handle, method := func(w http.ResponseWriter, r *http.Request) error { return a.authorize(w, r, told) }, "GET"
	switch r.URL.Path {
	case pathAuthorize:
	case pathCallback:
		handle = func(w http.ResponseWriter, r *http.Request) error { return a.callback(w, r, told) }
	case pathUserInfo:
		handle = func(w http.ResponseWriter, r *http.Request) error { return a.userInfo(w, r, told) }
	case pathLogout, pathOldLogout:
		told.Endpoint, handle, method = pathLogout, a.logout, "POST"
	default:
		told.Endpoint = "none"
		handle = func(http.ResponseWriter, *http.Request) error {
			return &Error{Status: http.StatusNotFound, Code: codeInvalidRequest, Description: "Not Found"}
		}
	}
	a.ended(w, r, told, only(method, handle, w, r))
}

// sendBack sends the browser to where a client registered that it waits, with what it is told and its state as it
// came. What is told is an answer to the log as well, if it is a refusal.
func sendBack(w http.ResponseWriter, redirect, state string, told url.Values) error {
	if state != "" {
		told.Set("state", state)
	}
	u, err := url.Parse(redirect)
	if err != nil {
		return err // it was configured, so this is a defect
	}
	query := told.Encode()
	if u.RawQuery != "" {
		query = u.RawQuery + "&" + query
	}
	u.RawQuery = query
	w.Header().Set("Location", u.String())
	w.WriteHeader(http.StatusFound)
	if code := told.Get("error"); code != "" {
		return &Error{Status: http.StatusFound, Code: code, Description: told.Get("error_description"), sent: true}
	}
	return nil
}

// errorQuery is a refusal as a redirect tells it (RFC 6749 §4.1.2.1).
func errorQuery(code, description string) url.Values {
	return url.Values{"error": {code}, "error_description": {description}}
}

// detailed adds to a refusal that was sent what the operator alone may read.
func detailed(err error, detail string) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.withDetail(detail)
	}
	return err
}

// readQuery reads a query in which no parameter that is looked at stands twice.
func readQuery(r *http.Request, names ...string) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, tell(bad("The query cannot be read"))
	}
	for _, name := range names {
		if len(query[name]) > 1 {
			return nil, tell(bad(name + " is given more than once"))
		}
	}
	return query, nil
}
