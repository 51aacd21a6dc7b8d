package bars

import (
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// object is a JSON object made here.
type object = map[string]any

// status answers with the proxy's health: to holders of the operator's key, and in the sandbox to everybody.
func (p *Proxy) status(r *http.Request, call *Call) *Outcome {
	if !p.Sandbox && !sameSecret(r.Header.Get("apikey"), p.StatusKey) {
		return noStatusKey
	}
	said := object{"status": "pass"}
	if p.Health != nil {
		maps.Copy(said, p.Health())
	}
	call.Answer = answerJSON(said)
	return nil
}

// sameSecret compares in constant time whatever the lengths. An empty secret never matches.
func sameSecret(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// capabilities answers with the proxy's own CapabilityStatement.
func (p *Proxy) capabilities(w http.ResponseWriter, r *http.Request) {
	writeResource(w, r, http.StatusOK, ContentType, capabilityStatement(
		"Booking and Referral proxy: brokers what it is sent to the receiver that "+HeaderTarget+" names"))
}

// capabilityStatement describes the API (BAR-1.2, BAR-1.3).
func capabilityStatement(description string) object {
	var resources []object
	for _, name := range []string{"Appointment", "MessageDefinition", "ServiceRequest", "Slot"} {
		_, methods := endpointOf("/" + name)
		_, onOne := endpointOf("/" + name + "/1")
		interactions := []object{}
		for method, code := range map[string]string{http.MethodGet: "search-type", http.MethodPost: "create"} {
			if slices.Contains(methods, method) {
				interactions = append(interactions, object{"code": code})
			}
		}
		for method, code := range map[string]string{http.MethodGet: "read", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete"} {
			if slices.Contains(onOne, method) {
				interactions = append(interactions, object{"code": code})
			}
		}
		slices.SortFunc(interactions, func(a, b object) int { return strings.Compare(a["code"].(string), b["code"].(string)) })
		resources = append(resources, object{"type": name, "interaction": interactions})
	}
	return object{
		"resourceType": "CapabilityStatement", "status": "active", "date": "2026-11-22", "kind": "instance",
		"fhirVersion": "4.0.1", "format": []string{"application/fhir+json", "application/fhir+xml"},
		"software": object{"name": "Countersign"}, "implementation": object{"description": description},
		"rest": []object{{
			"mode": "server", "resource": resources,
			"operation": []object{{"name": "process-message", "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"}},
		}},
	}
}
