package bars

import "net/http"

// The proxy's own outcomes, in the order of BAR-1.14 to BAR-1.24. Those about the access token come from its checker.
var (
	noID = &Outcome{Status: http.StatusBadRequest, Issue: "invalid", Code: "BAD_REQUEST", Fault: FaultSender,
		Text: "The headers X-Request-Id and X-Correlation-Id are mandatory."}
	badTarget = &Outcome{Status: http.StatusBadRequest, Issue: "400", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: `The header NHSD-Target-Identifier is mandatory: standard base64 of {"system":"…","value":"…"}.`}
	bareTarget = &Outcome{Status: http.StatusBadRequest, Issue: "structure", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "The target identifier has no system or no value."}
	unknownTarget = &Outcome{Status: http.StatusNotFound, Issue: "not-found", Code: "PROXY_NOT_FOUND", Fault: FaultSender,
		Text: "The target identifier is not in the endpoint catalogue."}
	tooMany = &Outcome{Status: http.StatusTooManyRequests, Issue: "throttled", Code: "PROXY_TOO_MANY_REQUESTS", Fault: FaultSender,
		Text: "Too many requests; try again after the time in Retry-After."}

	timedOut = &Outcome{Status: http.StatusRequestTimeout, Issue: "timeout", Code: "REC_TIMEOUT", Fault: FaultReceiver,
		Text: "The receiver did not answer in time."}
	unavailable = &Outcome{Status: http.StatusServiceUnavailable, Issue: "transient", Code: "REC_SERVICE_UNAVAILABLE", Fault: FaultReceiver,
		Text: "The receiver is not available."}
	forbidden = &Outcome{Status: http.StatusForbidden, Issue: "forbidden", Code: "REC_FORBIDDEN", Fault: FaultReceiver,
		Text: "TLS-MA failure."}
	serverError = &Outcome{Status: http.StatusInternalServerError, Issue: "exception", Code: "REC_SERVER_ERROR", Fault: FaultReceiver,
		Text: "The receiver failed and did not say why."}
)

// Outcomes that the standard's table does not have.
var (
	noPath = &Outcome{Status: http.StatusNotFound, Issue: "not-found", Code: "PROXY_NOT_FOUND", Fault: FaultSender,
		Text: "There is no such path in this API."}
	noMethod = &Outcome{Status: http.StatusMethodNotAllowed, Issue: "not-supported", Code: "PROXY_METHOD_NOT_ALLOWED", Fault: FaultSender,
		Text: "The path does not take this method; the header Allow names those that it takes."}
	tooLarge = &Outcome{Status: http.StatusRequestEntityTooLarge, Issue: "too-long", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "The request's body is too large."}
	slowSender = &Outcome{Status: http.StatusRequestTimeout, Issue: "timeout", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "The request's body did not arrive in time."}
	noStatusKey = &Outcome{Status: http.StatusUnauthorized, Issue: "security", Code: "SEND_UNAUTHORIZED", Fault: FaultSender,
		Text: "Send the operator's status key in the header apikey."}
	noCatalogue = &Outcome{Status: http.StatusServiceUnavailable, Issue: "transient", Code: "PROXY_SERVER_ERROR", Fault: FaultProxy,
		Text: "The proxy has no endpoint catalogue at the moment."}
	senderGone = &Outcome{Status: 499, Issue: "incomplete", Code: "SEND_GONE", Fault: FaultSender,
		Text: "The sender did not wait for the answer."}
	brokenOff = &Outcome{Status: http.StatusServiceUnavailable, Issue: "incomplete", Code: "REC_BROKEN_OFF", Fault: FaultReceiver,
		Text: "The receiver's answer broke off."}
)

// Defect returns what the sender is told when the proxy itself failed.
func Defect(err error) *Outcome {
	return (&Outcome{Status: http.StatusInternalServerError, Issue: "exception", Code: "PROXY_SERVER_ERROR", Fault: FaultProxy,
		Text: "The proxy has failed; its operator finds the reason under the request id."}).With("%v", err)
}
