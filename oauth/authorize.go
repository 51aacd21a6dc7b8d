package oauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"

	"github.com/seed-dd2befc3/countersign/cookies"
)

const (
	maxState   = 2 << 10 // bytes of a client's state
	maxACR     = 255     // bytes of acr_values
	secretSize = 32
)

// authorize sends the browser to the provider (TOK-5.14 to TOK-5.22).
func (a *Authorizer) authorize(w http.ResponseWriter, r *http.Request, told *Answer) error {
	query, err := readQuery(r, "redirect_uri", "client_id")
	if err != nil {
		return err
	}
	base, err := a.parsedBase(r)
	if err != nil {
		return err
	}
	client, err := a.authorizedClient(query)
	if err != nil {
		return err
	}
	told.Client = client
	redirect, state := query.Get("redirect_uri"), query.Get("state")
	if fault := authorizationFault(query); fault != nil {
		if len(state) > maxState {
			state = ""
		}
		return sendBack(w, redirect, state, fault)
	}
	ours, err := newSecret(a.Rand)
	if err != nil {
		return err
	}
	secret, err := newSecret(a.Rand)
	if err != nil {
		return err
	}
	begun := &login{
		Client: client, Redirect: redirect, State: state, Challenge: query.Get("code_challenge"),
		Secret: secret, Expires: a.Now().Add(cookies.SignInLife),
	}
	callback := base.String() + pathCallback
	way := begun.way(callback, ours)
	way.ACR = query.Get("acr_values")
	target, err := a.Provider.AuthCodeURL(r.Context(), way)
	if err != nil {
		return detailed(sendBack(w, redirect, state, errorQuery("temporarily_unavailable", "the OpenID provider cannot be reached; try again later")), err.Error())
	}
	sealed, err := a.seal(r.Context(), begun, callback, ours)
	if err != nil {
		return err
	}
	if err := cookies.KeepSignIn(w, r, base, cookieID(ours), sealed, cookies.SignInLife); err != nil { // beside an address as long as the client's
		return sendBack(w, redirect, state, errorQuery(codeInvalidRequest, "state is too long"))
	}
	w.Header().Set("Location", target)
	w.WriteHeader(http.StatusFound)
	return nil
}

func (o *Options) parsedBase(r *http.Request) (*url.URL, error) {
	text, err := o.BaseURL(r)
	if err != nil {
		return nil, err
	}
	return url.Parse(text)
}

// authorizedClient is the client that asks, if its redirect_uri is one that it registered: only then may anything
// be sent there, a refusal included.
func (a *Authorizer) authorizedClient(query url.Values) (string, error) {
	redirect, id := query.Get("redirect_uri"), query.Get("client_id")
	client, known := a.Clients[id]
	switch {
	case redirect == "":
		return "", tell(bad("redirect_uri is missing"))
	case known && !slices.Contains(client.RedirectURIs, redirect):
		return "", withWhy(bad("redirect_uri is invalid"), "client "+id+" has not registered it, letter by letter")
	case id == "":
		return "", tell(refused("client_id is missing"))
	case a.Revoked(id):
		return "", &Error{Status: http.StatusUnauthorized, Code: codeDenied, Description: "The developer app associated with the API key is not approved or revoked"}
	case !known:
		return "", tell(refused("client_id is invalid"))
	case !forUsers(client.Scopes):
		return "", noProduct(id)
	}
	return id, nil
}

// noProduct is that the client has no product, or no more, whose scopes are for users (TOK-5.18, TOK-8.3).
func noProduct(client string) error {
	return &Error{
		Status: http.StatusUnauthorized, Code: codeDenied,
		Description: "API Key supplied does not have access to this resource. Please check the API Key you are using belongs to an app which has sufficient access to access this resource.",
		detail:      "client " + client + " has no product with a scope for users, such as " + exampleScope,
	}
}

// exampleScope is a scope for users, for those who read an error.
const exampleScope = "urn:nhsd:apim:user-nhs-cis2:aal3:…"

var challengePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`) // base64url of a SHA-256

// authorizationFault says what is wrong with a request whose refusal goes back to the client.
func authorizationFault(query url.Values) url.Values {
	challenge, method := query.Get("code_challenge"), query.Get("code_challenge_method")
	for _, name := range []string{"state", "response_type", "acr_values", "code_challenge", "code_challenge_method"} {
		if len(query[name]) > 1 {
			return errorQuery(codeInvalidRequest, name+" is given more than once")
		}
	}
	switch {
	case query.Get("state") == "":
		return errorQuery(codeInvalidRequest, "state is missing")
	case len(query.Get("state")) > maxState:
		return errorQuery(codeInvalidRequest, "state is too long")
	case query.Get("response_type") == "":
		return errorQuery(codeInvalidRequest, "response_type is missing")
	case query.Get("response_type") != "code":
		return errorQuery("unsupported_response_type", "response_type is invalid")
	case len(query.Get("acr_values")) > maxACR:
		return errorQuery(codeInvalidRequest, "acr_values is too long")
	case challenge == "" && method != "":
		return errorQuery(codeInvalidRequest, "code_challenge is missing")
	case challenge != "" && method != "S256":
		return errorQuery(codeInvalidRequest, "code_challenge_method is invalid; it must be S256")
	case challenge != "" && !challengePattern.MatchString(challenge):
		return errorQuery(codeInvalidRequest, "code_challenge is invalid")
	}
	return nil
}

func newSecret(random io.Reader) (string, error) {
	secret := make([]byte, secretSize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(secret), nil
}

func keyedHash(secret, purpose string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("countersign login " + purpose)) // a hash never fails
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
