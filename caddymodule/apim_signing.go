package caddymodule

import (
	"net/http"

	"github.com/seed-dd2befc3/countersign/oauth"
	"github.com/seed-dd2befc3/countersign/signing"
)

// signingDoor is the Signing Service's check of its callers: a token with the service's scope. Whose sessions the
// caller may ask about is for the service to say.
func signingDoor(checker *oauth.Checker) func(*http.Request) (signing.Caller, error) {
	d := &door{Demands{Scopes: [][]string{{scopeSigning}}}, checker}
	return func(r *http.Request) (signing.Caller, error) {
		grant, err := d.enter(r)
		if err == nil {
			return signing.Caller{Client: grant.Client, User: grant.User}, nil
		}
		refused := asRefusal(err)
		if refused.reason == reasonUnavailable {
			return signing.Caller{}, err
		}
		return signing.Caller{}, &signing.Error{Status: refused.status, Code: "access_token", Message: refused.message}
	}
}
