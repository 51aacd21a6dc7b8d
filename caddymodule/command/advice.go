package command

import (
	"net/http"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// advice says what to do about one kind of refusal, selected by the check or, failing that, by the code.
type advice struct{ of, text string }

// advise says what to do about a refusal.
func advise(r adminapi.Refusal) string {
	if ofTokens(r) {
		return (&oauth.TokenError{Status: r.Status, Code: r.Code, Description: r.Answer}).Fix()
	}
	for _, key := range []string{r.Check, r.Code} {
		for _, known := range advices() {
			if known.of == key {
				return known.text
			}
		}
	}
	switch {
	case r.Status == 0:
		return "Detail says what the agent or a check of the gateway found. docs/signing-page.md says what the person was told to do."
	case r.Status == http.StatusInternalServerError:
		return "This is a defect of the gateway, or of the system below it. Report it with the log lines around it."
	case r.Status > http.StatusInternalServerError:
		return "Look at /countersign/status on the admin endpoint: the store or a client's key set was unavailable. The caller must send the same request again."
	}
	return "The caller must correct what its answer says and make a new request."
}

// advices are in the order in which a request meets the checks. docs/refused-requests.md shows them.
func advices() []advice {
	return []advice{
		{"SEND_UNAUTHORIZED", "The sender must get a token with its own key and send it as Authorization: Bearer. apim_sender does this."},
		{"SEND_FORBIDDEN", "Add the product with the scope urn:nhsd:apim:app:level3:booking-and-referral to the client's products. The client must then get a new token."},
		{"BAD_REQUEST", "The sender must send X-Request-Id and X-Correlation-Id. apim_sender adds them where the standard allows it."},
		{"PROXY_BAD_REQUEST", "The sender must correct what Detail says. A target is base64 of {\"system\":\"…\",\"value\":\"…\"}; max_body and timeout of bars_proxy limit how large and how slow a request may be."},
		{"PROXY_NOT_FOUND", "Compare the target with the endpoint catalogue, character by character. The log and /countersign/status name entries that were left out."},
		{"NOT_FOUND", "The sender must use a path below base of bars_proxy, without dot segments."},
		{"SEND_NOT_ACCEPTABLE", "The sender must name the version in Accept: application/fhir+json; version=1.1.0 or higher. version of apim_sender does this."},
		{"PROXY_METHOD_NOT_ALLOWED", "The sender must use a method that Allow names."},
		{"PROXY_TOO_MANY_REQUESTS", "The sender must wait as long as Retry-After says. rate and rate_overall of bars_proxy are the limits."},
		{"REC_TIMEOUT", "The receiver took longer than timeout of bars_proxy, or answered 504. Its operator can look for the request id in its log."},
		{"REC_SERVICE_UNAVAILABLE", "Detail says how far the proxy got: the name, the connection, the certificate, or the receiver's own 503. Fault says who has to fix it."},
		{"REC_FORBIDDEN", "The receiver does not accept this proxy: its certificate, its chain or its address. Compare them with what the receiver expects."},
		{"REC_SERVER_ERROR", "The receiver failed without an OperationOutcome. Its operator can look for the request id in its log."},
		{"REC_BROKEN_OFF", "The receiver's answer was cut off. Its operator can look for the request id in its log."},
		{"PASSED_ON", "This is the receiver's own answer, passed to the sender unchanged. It contains the reason."},
		{"SEND_GONE", "The sender did not wait: the standard gives it 35 seconds."},
		{"PROXY_SERVER_ERROR", "Detail says what the proxy lacks: its endpoint catalogue, or the store that holds tokens. /countersign/status shows their present state."},
		{"access_token", "The client must get its own token from the token service, for the person it names, and send it as Authorization: Bearer."},
		{"user of the access token", "The client showed one person's access token with a request for another person. It must show the token of the person in sub, or make the JWT for the token's person. A new token of the same person changes nothing."},
		{"access_open", "access open serves only this machine. Set access bearer to serve others, or call it from this machine."},
		{"too_large", "The client must split the items over more requests: at most 250 payloads and 2 MiB each."},
		{"Content-Type", "The client must send Content-Type: text/plain."},
		{"form of the body", "The client must send the JWT alone as the body: no JSON around it, no quotes, no line break, no URL encoding."},
		{"form of the JWT", "The client must correct what Got says. A well-kept JWT library makes none of these mistakes."},
		{"alg", "The client must sign its JWT with RS512 and say so in the header."},
		{"claim iss", "The client must put its client id into iss. If the Caddyfile lacks the client, add client <id> to countersign; if the client has status revoked, approve it."},
		{"header kid", "Compare the kid with the client's kids under /countersign/status on the admin endpoint. A key with the ROCA fingerprint is listed there as refused; the client must make a new one. The client must publish a key before it signs with it, or you register it with key <kid> <pem file>."},
		{"size of the key", "The client must make a key of 4096 bits, publish it under a new kid, and sign with it."},
		{"key set of the client", "Open the URL of the client's key set from this machine. Detail and /countersign/status have the error; allow_networks permits private addresses."},
		{"signature of the JWT", "The client must sign with the key that is registered under this kid: compare the thumbprint of its own public key (RFC 7638) with the expected one. If they are equal, something on the way changes the body, which must arrive byte for byte."},
		{"replayed", "The client must make a new JWT for a new request. To repeat one after a lost answer, it must send the same JWT with the same state."},
		{"claim aud", "The client must put the expected address into aud, character by character, without a slash at the end. If clients reach signing_service at another address, correct its public_url."},
		{"claim exp", "Compare the clocks of both machines. The client must set exp at most 10 minutes ahead, and make a new JWT for each request."},
		{"claim iat", "Compare the clocks of both machines: the client's is ahead. clock_skew of signing_service is the tolerance."},
		{"claim nbf", "The client must leave nbf out, or send the JWT only once it is valid. If nbf is meant to be now, compare the clocks of both machines."},
		{"claim sub", "The client must put the SDS user id of the person who signs into sub: twelve digits, as a string."},
		{"claim algorithm", "The client must ask for one of the expected algorithms, or you add this one to algorithms of that client in the Caddyfile."},
		{"SignatureMethod of a payload", "The payload must be prepared for the algorithm that the client asks for. Payloads of different algorithms go into different requests."},
		{"payloads", "The client must correct the payload that the answer names: base64 with padding, unique ids, 1 to 250 payloads."},
		{"fault", "The client must remove the header X-Fault, or name one of the faults that the answer lists. The header is for the sandbox."},
		{"state", "The client must keep its state itself and send a short name for it, at most 1 KiB."},
		{"token", "The client must put the token into the path exactly as it got it."},
		{"not_found", "The token is wrong, belongs to another client, or its time is over: keep_result of signing_service says how long signatures can be fetched."},
		{"not_opened", "Nothing is wrong: the person has not opened the page yet. The client asks again later."},
		{"not_signed", "Nothing is wrong: the person has not signed yet. The client asks again later."},
		{"failed", "Nothing was released. See the session's reason with caddy countersign sessions, and \"signing run ended\" in the log."},
		{"cancelled", "The person cancelled. The client makes a new request if they want to sign after all."},
		{"expired", "The person did not sign in time. The client makes a new request. sign_within of signing_service is the limit."},
		{"Origin", "People must open the page at the address of public_url. If they do, public_url differs from the address that their browsers show, or a proxy changes Origin."},
		{"csrf", "The page asks for a new value once by itself. If the person still sees this, their browser does not accept cookies of this host, or something on the way removes them or the header X-CSRF-Token."},
		{"opened_elsewhere", "The page was opened in another browser before, perhaps by a link that was sent to two people. The person continues there, or the client makes a new request."},
		{"sign_in", "Nothing is wrong: the page sends the person to the OpenID provider. If they are sent there again and again, the lines with wrong_user, insufficient_level, access_denied or sign_in_failed say why."},
		{"wrong_user", "A person other than the request's sub signed in at the page. The page tells them, and the request waits. If it was the right person, the user id at the provider (user_claim of openid) is not the sub that the client sends."},
		{"insufficient_level", "The right person signed in with less assurance than level of signing_service demands; Got has the level. They must sign in with their smartcard; acr of openid can make the provider ask for it."},
		{"access_denied", "The person refused to sign in at the OpenID provider, or the provider refused them. The request waits: they can sign in, or cancel it at the page."},
		{"sign_in_failed", "The OpenID provider's answer was unusable; Detail says why. The request waits, and the person can try again. If it happens again, compare openid with what the provider has registered, and the clocks of both."},
		{"sign_in_state", "The person came back from the OpenID provider in another browser, a second time, or after ten minutes. They must start again from the client system. If it happens again, something on the way removes cookies."},
		{"mock", "Add mock to signing_service outside production, or open the page without mock=true."},
		{"too_many", "The client has reached max_sessions. Are people signing them (caddy countersign sessions --client …)? If so, raise it; if not, the client asks in a loop."},
		{"unavailable", "The caller must send the same request again. Detail says what was unavailable; /countersign/status on the admin endpoint shows its present state."},
		{"apikey", "The caller must send the status_key of signing_service in the header apikey."},
		{"method", "The caller must use the method that Allow names."},
		{"no_endpoint", "The caller must correct the path; the service is at public_url, followed by /signaturerequest or /signatureresponse/{token}. If every path gets this answer, mount signing_service by handle_path instead of handle."},
	}
}

// ofTokens reports whether the token service refused, whose own message says what to do.
func ofTokens(r adminapi.Refusal) bool {
	switch r.Endpoint {
	case "/token", "/authorize", "/callback", "/userinfo", "/backchannel_logout":
		return true
	}
	return false
}
