package bars

import (
	"crypto/sha256"
	"crypto/subtle"
	"maps"
	"net/http"
)

// object is a JSON object made here.
type object = map[string]any

// status answers with the proxy's health, to holders of the operator's key, in the sandbox too (BAR-5.23).
func (p *Proxy) status(r *http.Request, call *Call) *Outcome {
	if !sameSecret(r.Header.Get("apikey"), p.StatusKey) {
		call.Answer = answerJSON(noStatusKey.Status, object{"error": "Access Denied", "error_description": noStatusKey.Text})
		return noStatusKey
	}
	said := object{"status": "pass"}
	if p.Health != nil {
		maps.Copy(said, p.Health())
	}
	call.Answer = answerJSON(http.StatusOK, said)
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
	var listed []object
	for _, name := range []string{"Appointment", "MessageDefinition", "ServiceRequest", "Slot"} {
		codes := []string{"search-type"}
		if name == "Appointment" || name == "ServiceRequest" {
			codes = []string{"create", "delete", "patch", "read", "search-type", "update"}
		}
		interactions := make([]object, len(codes))
		for i, code := range codes {
			interactions[i] = object{"code": code}
		}
		listed = append(listed, object{"type": name, "interaction": interactions})
	}
	return object{
		"resourceType": "CapabilityStatement", "status": "active", "date": "2026-11-22", "kind": "instance",
		"fhirVersion": "4.0.1", "format": []string{"application/fhir+json", "application/fhir+xml"},
		"software": object{"name": "Countersign"}, "implementation": object{"description": description},
		"rest": []object{{
			"mode": "server", "resource": listed,
			"operation": []object{{"name": "process-message", "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message"}},
		}},
	}
}
