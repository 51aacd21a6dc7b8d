package bars

import "net/http"

// The profiles of OperationOutcomes and the systems of their codes, spelt as the public proxy spells them.
const (
	profileUKCore2 = "https://simplifier.net/guide/UKCoreDevelopment2/ProfileUKCore-OperationOutcome"
	profileUKCore  = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-OperationOutcome"

	systemHTTP  = "https://fhir.nhs.uk/Codesystem/http-error-codes"
	systemValue = "http://hl7.org/fhir/ValueSet/operation-outcome"
)

// form returns the profile and the system that go with a detail code (BAR-5.3 to BAR-5.16).
func form(code string) (profile, system string) {
	switch code {
	case "PROXY_BAD_REQUEST", "PROXY_TOO_MANY_REQUESTS":
		return profileUKCore, systemValue
	case "SEND_NOT_ACCEPTABLE":
		return profileUKCore, systemHTTP
	}
	return profileUKCore2, systemHTTP
}

// The outcomes about access tokens, whose More comes from their checker (BAR-5.3 to BAR-5.5).
var (
	BadToken = &Outcome{Status: http.StatusUnauthorized, Issue: "security", Code: "SEND_UNAUTHORIZED", Fault: FaultSender,
		Text: "The user or system was not able to be authenticated, either the access token was invalid, or not provided."}
	NoToken = &Outcome{Status: http.StatusUnauthorized, Issue: "unknown", Code: "SEND_UNAUTHORIZED", Fault: FaultSender,
		Text: "No Access token was provided."}
	NotEnabled = &Outcome{Status: http.StatusForbidden, Issue: "forbidden", Code: "SEND_FORBIDDEN", Fault: FaultSender,
		Text: "The access token was provided, but BaRS is not enabled."}
)

// The outcomes of a receiver, of which its own gateway speaks too (BAR-5.10, BAR-5.11, BAR-5.13 to BAR-5.15).
var (
	TimedOut = &Outcome{Status: http.StatusRequestTimeout, Issue: "timeout", Code: "REC_TIMEOUT", Fault: FaultReceiver,
		Text: "The connection to the Receiver timed out."}
	Unavailable = &Outcome{Status: http.StatusServiceUnavailable, Issue: "transient", Code: "REC_SERVICE_UNAVAILABLE", Fault: FaultReceiver,
		Text: "The response from the receiver was a 503, with no detail. Also useful if there is a connection failure such as the endpoint not being found, or failing to resolve."}
	Forbidden = &Outcome{Status: http.StatusForbidden, Issue: "forbidden", Code: "REC_FORBIDDEN", Fault: FaultReceiver,
		Text: "TLS-MA failure."}
	Failed = &Outcome{Status: http.StatusInternalServerError, Issue: "exception", Code: "REC_SERVER_ERROR", Fault: FaultReceiver,
		Text: "unhandled exception."}
	NotStored = &Outcome{Status: http.StatusInternalServerError, Issue: "no-store", Code: "REC_SERVER_ERROR", Fault: FaultReceiver,
		Text: "internal data storage issue."}
)

// The proxy's own outcomes, in the order of BAR-1.14 to BAR-1.24 (BAR-5.6 to BAR-5.9, BAR-5.12, BAR-5.16).
var (
	noID = &Outcome{Status: http.StatusBadRequest, Issue: "invalid", Code: "BAD_REQUEST", Fault: FaultSender,
		Text: "The X-Request-Id or the X-Correlation-Id was not included Or the NHSD-Target-Identifier was not included (depending on the endpoint being called)."}
	badTarget = &Outcome{Status: http.StatusBadRequest, Issue: "400", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "The base64 decoding of the NHSD-Target-Identifier header failed.",
		More: `The header is mandatory: standard base64 of {"system":"…","value":"…"}.`}
	bareTarget = &Outcome{Status: http.StatusBadRequest, Issue: "structure", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "Invalid schema for NHSD-Target-Identifier header", More: "(it has no system or no value)."}
	unknownTarget = &Outcome{Status: http.StatusNotFound, Issue: "not-found", Code: "PROXY_NOT_FOUND", Fault: FaultSender,
		Text: "The target endpoint does not exist in the Endpoint Catalogue."}
	notAcceptable = &Outcome{Status: http.StatusNotAcceptable, Issue: "processing", Code: "SEND_NOT_ACCEPTABLE", Fault: FaultSender,
		Text: "Senders message had an incorrect content type defined for a response:"}
	tooMany = &Outcome{Status: http.StatusTooManyRequests, Issue: "429", Code: "PROXY_TOO_MANY_REQUESTS", Fault: FaultSender,
		Text: "Too many requests have been made by this source in a given amount of time:", More: "try again after the time in Retry-After."}
)

// Outcomes that the standard's table does not have.
var (
	NoPath = &Outcome{Status: http.StatusNotFound, Issue: "not-found", Code: "NOT_FOUND", Fault: FaultSender,
		Text: "Endpoint on the API does not exist."}
	noMethod = &Outcome{Status: http.StatusMethodNotAllowed, Issue: "not-supported", Code: "PROXY_METHOD_NOT_ALLOWED", Fault: FaultSender,
		Text: "The path does not take this method; the header Allow names those that it takes."}
	tooLarge = &Outcome{Status: http.StatusRequestEntityTooLarge, Issue: "too-long", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "The request's body is too large."}
	BadBody = &Outcome{Status: http.StatusBadRequest, Issue: "invalid", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "The request's body did not arrive whole."}
	Crowded = &Outcome{Status: http.StatusServiceUnavailable, Issue: "transient", Code: "PROXY_SERVICE_UNAVAILABLE", Fault: FaultSender,
		Text: "The sender's gateway holds as many requests as it can; try again after the time in Retry-After."}
	SlowSender = &Outcome{Status: http.StatusRequestTimeout, Issue: "timeout", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "The request's body did not arrive in time."}
	headerTooLong = &Outcome{Status: http.StatusRequestHeaderFieldsTooLarge, Issue: "too-long", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "The request's header is longer than the receiver takes."}
	badHeader = &Outcome{Status: http.StatusBadRequest, Issue: "invalid", Code: "PROXY_BAD_REQUEST", Fault: FaultSender,
		Text: "The request's header or trailer cannot be forwarded."}
	noStatusKey = &Outcome{Status: http.StatusUnauthorized, Issue: "security", Code: "SEND_UNAUTHORIZED", Fault: FaultSender,
		Text: "Invalid api key for _status monitoring endpoint"} // answered in the token service's form, not FHIR's
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
