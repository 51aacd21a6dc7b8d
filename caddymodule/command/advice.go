package command

import (
	"net/http"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
	"github.com/seed-dd2befc3/countersign/oauth"
)

// advice is what to do about refusals of one kind: by the check where that makes a difference, or else by the code.
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
	case r.Status == http.StatusInternalServerError:
		return "This is a defect of the gateway, or of what it runs on. Look at the lines around it in the log, and report it with them."
	case r.Status > http.StatusInternalServerError:
		return "Look at /countersign/status on the admin endpoint: the store or a client's key set was away. The caller sends the same request again."
	}
	return "The caller corrects what its answer says, and makes a new request."
}

// advices are in the order in which a request meets the checks. docs/refused-requests.md shows them.
func advices() []advice {
	return []advice{
		{"SEND_UNAUTHORIZED", "The sender gets a token with its own key, and sends it as Authorization: Bearer; apim_sender does so."},
		{"SEND_FORBIDDEN", "Add the product with the scope urn:nhsd:apim:app:level3:booking-and-referral to the products of this client, who then gets a new token."},
		{"BAD_REQUEST", "The sender sends X-Request-Id and X-Correlation-Id; apim_sender makes those that may be made."},
		{"PROXY_BAD_REQUEST", "The sender mends what Detail says. A target is base64 of {\"system\":\"…\",\"value\":\"…\"}; max_body and timeout of bars_proxy say how large and how slow a request may be."},
		{"PROXY_NOT_FOUND", "Compare the target, letter for letter, with the endpoint catalogue, or the path with the standard's. An entry that was left out is named in the log and under /countersign/status."},
		{"PROXY_METHOD_NOT_ALLOWED", "The sender uses a method that Allow names."},
		{"PROXY_TOO_MANY_REQUESTS", "The sender waits as long as Retry-After says; rate and rate_overall of bars_proxy say how much is let through."},
		{"REC_TIMEOUT", "The receiver took longer than timeout of bars_proxy, or answered 504. Its operator looks for the request id in its log."},
		{"REC_SERVICE_UNAVAILABLE", "Detail says how far the proxy came: the name, the connection, the certificate, or the receiver's own 503. Fault says who mends it."},
		{"REC_FORBIDDEN", "The receiver does not accept this proxy: its certificate, its chain, or its address. Compare them with what the receiver was told."},
		{"REC_SERVER_ERROR", "The receiver failed without an OperationOutcome. Its operator looks for the request id in its log."},
		{"REC_BROKEN_OFF", "The receiver's answer ended before it was whole. Its operator looks for the request id in its log."},
		{"PASSED_ON", "This is the receiver's own answer, which the sender got as it was, with the reason in it."},
		{"SEND_GONE", "The sender did not wait: the standard gives it 35 seconds."},
		{"PROXY_SERVER_ERROR", "Detail says what the proxy lacks: its endpoint catalogue, or the store that tokens are in. /countersign/status shows how they are now."},
		{"access_token", "The client gets a token of its own from the token service, for the person it names, and sends it as Authorization: Bearer."},
		{"access_open", "access open serves this machine alone. Set access bearer to serve others, or reach it from this machine."},
		{"too_large", "The client splits what it wants signed over more requests: at most 250 payloads and 2 MiB each."},
		{"Content-Type", "The client sends Content-Type: text/plain."},
		{"form of the body", "The client sends the JWT alone as the body: no JSON around it, no quotes, no line break, not URL-encoded."},
		{"form of the JWT", "The client corrects what Got says; a well-kept JWT library makes none of these mistakes."},
		{"alg", "The client signs its JWT with RS512, and says so in the header."},
		{"claim iss", "The client puts its client id into iss; or you add client <id> to countersign in the Caddyfile, if it is missing, or has status revoked."},
		{"header kid", "Compare the kid with those of the client under /countersign/status on the admin endpoint. A key with the ROCA fingerprint is listed there as refused; the client makes a new one. The client publishes the key first, and signs with it then; or you register it with key <kid> <pem file>."},
		{"size of the key", "The client makes a key of 4096 bits, publishes it under a new kid, and signs with it."},
		{"key set of the client", "Open the URL of the client's key set from this machine. Its error is in Detail, and under /countersign/status; allow_networks lets in private addresses."},
		{"signature of the JWT", "The client signs with the key that is registered under this kid: compare the thumbprint of its own public key (RFC 7638) with the expected one. Or something on the way changes the body: it must arrive byte for byte."},
		{"replayed", "The client makes a new JWT for a new request. To repeat one after a lost answer, it sends the same JWT with the same state."},
		{"claim aud", "The client puts the expected address into aud, letter for letter, without a slash at the end; or you correct public_url of signing_service, if clients reach it at another one."},
		{"claim exp", "Compare the clocks of both machines. The client sets exp at most 10 minutes ahead, and makes a new JWT for each request."},
		{"claim iat", "Compare the clocks of both machines: the client's is ahead. clock_skew of signing_service says how much is tolerated."},
		{"claim nbf", "The client leaves nbf out, or sends the JWT once it is valid; if nbf is meant to be now, compare the clocks of both machines."},
		{"claim sub", "The client puts the SDS user id of the person who signs into sub: twelve digits, as a string."},
		{"claim algorithm", "The client asks for one of the expected algorithms; or you add it to algorithms of that client in the Caddyfile."},
		{"SignatureMethod of a payload", "The client prepares the payload for the algorithm that it asks for, or asks for the one it has prepared it for; payloads of different algorithms go into different requests."},
		{"payloads", "The client corrects the payload that the answer names: base64 with padding, a unique id for each, 1 to 250 of them."},
		{"fault", "The client takes the header X-Fault out, or names one of the faults that the answer lists; it is for the sandbox."},
		{"state", "The client keeps its state somewhere itself, and sends a short name for it; at most 1 KiB."},
		{"token", "The client puts the token into the path exactly as it got it."},
		{"not_found", "The token is wrong, belongs to another client, or its time is over: keep_result of signing_service says how long signatures can be fetched."},
		{"not_opened", "Nothing is wrong: the person has not opened the page yet. The client asks again later."},
		{"not_signed", "Nothing is wrong: the person has not signed yet. The client asks again later."},
		{"failed", "Nothing was released: see the session's reason with caddy countersign sessions, and \"signing run ended\" in the log."},
		{"cancelled", "The person cancelled. The client makes a new request if they want to sign after all."},
		{"expired", "The person did not sign in time. The client makes a new request; sign_within of signing_service says how long there is."},
		{"Origin", "People must open the page at the address of public_url. If they do, public_url is another than what their browsers show, or a proxy changes Origin."},
		{"csrf", "The page asks for a new value once by itself. If the person still sees this, their browser does not accept cookies of this host, or something on the way removes them or the header X-CSRF-Token."},
		{"opened_elsewhere", "The page was opened in another browser before, perhaps by a link that was sent to two people. The person goes on there, or the client makes a new request."},
		{"sign_in", "Nothing is wrong: the page sends the person to the OpenID provider. If they are sent there again and again, the lines with wrong_user, insufficient_level, access_denied or sign_in_failed say why."},
		{"wrong_user", "Somebody else signed in at the page than the request's sub; the page tells them, and the request waits. If it was the right person, the user id at the provider (user_claim of openid) is not the sub that the client sends."},
		{"insufficient_level", "The right person signed in with less assurance than level of signing_service demands; Got says with how much. They sign in with their smartcard; acr of openid can have the provider ask for it."},
		{"access_denied", "The person refused to sign in at the OpenID provider, or the provider refused them. The request waits: they sign in, or cancel it at the page."},
		{"sign_in_failed", "What the OpenID provider sent back was of no use; Detail says why. The request waits, and the person tries again; if it stays so, compare openid with what the provider has registered, and the clocks of both."},
		{"sign_in_state", "The person came back from the OpenID provider in another browser, a second time, or after ten minutes. They start again from the client system; if it goes on, something between removes cookies."},
		{"mock", "Add mock to signing_service outside production, or open the page without mock=true."},
		{"too_many", "The client has as many sessions as max_sessions allows. Are people signing them (caddy countersign sessions --client …)? If so, raise it; if not, the client asks in a loop."},
		{"unavailable", "The caller sends the same request again. Detail says what was away; /countersign/status on the admin endpoint shows how it is now."},
		{"apikey", "The caller sends the status_key of signing_service in the header apikey."},
		{"method", "The caller uses the method that Allow names."},
		{"no_endpoint", "The caller corrects the path; the service is at public_url, followed by /signaturerequest or /signatureresponse/{token}. If every path is answered so, mount signing_service by handle_path instead of handle."},
	}
}

// ofTokens says whether the refusal is one of the token service's, whose words tell what to do.
func ofTokens(r adminapi.Refusal) bool {
	switch r.Endpoint {
	case "/token", "/authorize", "/callback", "/userinfo", "/backchannel-logout":
		return true
	}
	return false
}
