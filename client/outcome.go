package client

import "net/url"

// Why a request is not signed, where no card or signature is the reason. The code stands in a WebhookReason, in an Error
// of Fetch and at the callback; a service may have others, which are in its description.
const (
	ReasonCancelled         = "cancelled_by_person" // at the page, by the person who was to sign
	ReasonDeclined          = "declined"            // by the person who was to sign, who found something wrong with some items
	ReasonWrongUser         = "wrong_user"          // another person signed in than the request's sub
	ReasonInsufficientLevel = "insufficient_level"  // the right person signed in, with less assurance than is demanded
	ReasonAccessDenied      = "access_denied"       // the person refused to sign in
	ReasonSignInFailed      = "sign_in_failed"      // nobody could be signed in by what the OpenID provider answered
)

// ReturnReason names the parameter of the callback that holds the reason's code, beside OAuth's error.
const ReturnReason = "error_reason"

// Return is what the browser brings to the callback (SIG-3.1, SIG-3.3). It is a hint: anybody can make it up, so what
// counts is what Fetch answers.
type Return struct {
	Token  string
	Error  string // in OAuth's words; empty where the request is signed
	Reason string // the reason's code; empty where there is none
}

// ReadReturn reads the callback's query. The state in it is the caller's own, and to be compared before anything else.
func ReadReturn(query url.Values) Return {
	return Return{Token: cut(query.Get("token"), 64), Error: cut(query.Get("error"), 64), Reason: cut(query.Get(ReturnReason), 64)}
}
