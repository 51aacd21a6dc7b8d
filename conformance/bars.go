package conformance

import "net/http"

// Profiles and systems of the proxy's OperationOutcomes (BAR-5).
const (
	profile1 = "https://simplifier.net/guide/UKCoreDevelopment2/ProfileUKCore-OperationOutcome"
	profile2 = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-OperationOutcome"
	system1  = "https://fhir.nhs.uk/Codesystem/http-error-codes"
	system2  = "http://hl7.org/fhir/ValueSet/operation-outcome"
)

// outcome is the shape of an OperationOutcome with these codes (BAR-1.10, BAR-5.1, BAR-5.2).
func outcome(status int, issue, code, profile, system, diagnostics string) Want {
	return Want{
		Status: status, Header: map[string]Matcher{"Content-Type": Matches(`application/fhir\+json(;.*)?`)},
		JSON: map[string]Matcher{
			"resourceType": Is("OperationOutcome"), "id": Present, "meta.profile.0": Is(profile),
			"issue.0.severity": Is("error"), "issue.0.code": Is(issue), "issue.0.details.coding.0.code": Is(code),
			"issue.0.details.coding.0.system": Is(system), "issue.0.diagnostics": Begins(diagnostics),
		},
	}
}

// barsCases are those rows of BAR-1 and BAR-5 that reach no receiver.
func barsCases() []Case {
	ids := map[string]string{"X-Request-Id": "60e0b220-8136-4ca5-ae46-1d97ef59d068", "X-Correlation-Id": "11c46f5f-cdef-4865-94b2-0ee0edcc26da"}
	header := func(changes ...string) map[string]string {
		all := map[string]string{"NHSD-Target-Identifier": "{target}", "Accept": "application/fhir+json; version=1.2.0"}
		for name, value := range ids {
			all[name] = value
		}
		for i := 0; i+1 < len(changes); i += 2 {
			if all[changes[i]] = changes[i+1]; changes[i+1] == "" {
				delete(all, changes[i])
			}
		}
		return all
	}
	row := func(rule, name string, bearer bool, headers map[string]string, want Want) Case {
		return Case{Section: BaRS, Rule: rule, Name: name, Request: Request{Path: "/Slot", Bearer: bearer, Header: headers}, Want: want}
	}
	none := outcome(http.StatusUnauthorized, "unknown", "SEND_UNAUTHORIZED", profile1, system1, "No Access token was provided.")
	noID := outcome(http.StatusBadRequest, "invalid", "BAD_REQUEST", profile1, system1,
		"The X-Request-Id or the X-Correlation-Id was not included Or the NHSD-Target-Identifier was not included (depending on the endpoint being called).")
	noBase64 := outcome(http.StatusBadRequest, "400", "PROXY_BAD_REQUEST", profile2, system2, "The base64 decoding of the NHSD-Target-Identifier header failed.")
	return []Case{
		{Section: BaRS, Rule: "BAR-1.3", Name: "_ping", Request: Request{Path: "/_ping"}, Want: Want{Status: http.StatusOK}},
		{Section: BaRS, Rule: "BAR-1.3", Name: "metadata", Request: Request{Path: "/metadata"}, Want: Want{
			Status: http.StatusOK, JSON: map[string]Matcher{"resourceType": Is("CapabilityStatement")},
		}},
		row("BAR-1.11", "missing", false, header(), none),
		row("BAR-1.11", "empty", false, header("Authorization", "Bearer "), none),
		row("BAR-1.12", "", false, header("Authorization", "Bearer no-such-token-0000000000"), outcome(http.StatusUnauthorized, "security", "SEND_UNAUTHORIZED", profile1, system1,
			"The user or system was not able to be authenticated, either the access token was invalid, or not provided.")),
		row("BAR-1.14", "X-Request-Id", true, header("X-Request-Id", ""), noID),
		row("BAR-1.14", "X-Correlation-Id", true, header("X-Correlation-Id", ""), noID),
		row("BAR-1.15", "absent", true, header("NHSD-Target-Identifier", ""), noBase64),
		row("BAR-1.15", "not base64", true, header("NHSD-Target-Identifier", "!!!"), noBase64),
		row("BAR-1.16", "", true, header("NHSD-Target-Identifier", "eyJzeXN0ZW0iOiJ4In0="), outcome(http.StatusBadRequest, "structure", "PROXY_BAD_REQUEST", profile2, system2,
			"Invalid schema for NHSD-Target-Identifier header")),
		row("BAR-1.17", "", true, header("NHSD-Target-Identifier", "{unknown_target}"), outcome(http.StatusNotFound, "not-found", "PROXY_NOT_FOUND", profile1, system1,
			"The target endpoint does not exist in the Endpoint Catalogue.")),
		row("BAR-1.18", "", true, header("NHSD-Target-Identifier", "eyJzeXN0ZW0iOiJuby1zdWNoLXN5c3RlbSIsInZhbHVlIjoiMSJ9"), Want{Status: http.StatusNotFound}).ours(),
		row("BAR-1.19", "", true, header("NHSD-Target-Identifier", "bm90IEpTT04="), Want{Status: http.StatusBadRequest}).ours(),
		{Section: BaRS, Rule: "BAR-5.18", Request: Request{Path: "/DocumentReference", Bearer: true, Header: header("Accept", "application/fhir+json; version=1.0.0")},
			Want: outcome(http.StatusNotAcceptable, "processing", "SEND_NOT_ACCEPTABLE", profile2, system1, "Senders message had an incorrect content type defined for a response:")},
		{Section: BaRS, Rule: "BAR-5.19", Request: Request{Method: http.MethodOptions, Path: "/$process-message", Header: map[string]string{
			"Origin": "https://app.example", "Access-Control-Request-Method": http.MethodPost,
		}}, Want: Want{Status: http.StatusOK, Header: map[string]Matcher{"Access-Control-Allow-Origin": Present, "Access-Control-Allow-Methods": Present}}},
	}
}
