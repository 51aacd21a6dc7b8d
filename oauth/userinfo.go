package oauth

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
)

// userInfo answers who the user of a token is, in the provider's own words at the time of the sign-in.
func (a *Authorizer) userInfo(w http.ResponseWriter, r *http.Request, told *Answer) error {
	shown := r.Header.Values("Authorization")
	if len(shown) > 1 {
		shown = []string{"Bearer"} // whichever is meant, it is not for us to choose
	}
	authorization := ""
	if len(shown) == 1 {
		authorization = shown[0]
	}
	grant, err := a.Checker.Check(r.Context(), authorization)
	if err != nil {
		a.RefuseBearer(w, r, err)
		return refusedBearer(err)
	}
	told.Client = grant.Client
	var f *family
	if grant.Family != "" {
		if f, err = a.family(r.Context(), grant.Family); err != nil {
			return err
		}
	}
	if f == nil || f.Flow != flowCombined {
		return withWhy(bad("The Userinfo endpoint is only supported for Combined Auth integrations. Currently this is only for NHS CIS2 authentications - for more guidance see https://digital.nhs.uk/developer/guides-and-documentation/security-and-authorisation/user-restricted-restful-apis-nhs-cis2-combined-authentication-and-authorisation"),
			"the token was not issued for a code of /authorize")
	}
	writeJSON(w, http.StatusOK, jsontext.Value(f.Info))
	return nil
}

// refusedBearer is for the log what RefuseBearer has answered.
func refusedBearer(err error) error {
	if code := BearerCodeOf(err); code != "" {
		return &Error{Status: http.StatusUnauthorized, Code: "invalid_token", Description: err.Error(), sent: true}
	}
	e := *asError(err)
	e.sent = true
	return &e
}
