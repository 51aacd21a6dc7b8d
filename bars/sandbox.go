package bars

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/intake"
	"github.com/seed-dd2befc3/countersign/intake/share"
)

// builtIn reports whether the sandbox's built-in receiver answers a target (BAR-1.27), whose system is compared without
// regard to case (BAR-5.23).
func builtIn(target Target) bool {
	return strings.EqualFold(target.System, "https://fhir.nhs.uk/Id/dos-service-id") && strings.HasPrefix(target.Value, "2000") ||
		strings.EqualFold(target.System, "tests") && strings.HasPrefix(target.Value, "NHS")
}

// sandboxID is the id of the built-in receiver's only appointment and only referral.
const sandboxID = "d0b6a2d7-4f0e-4b39-9c5e-2a4f6f6ad5a1"

// The built-in receiver's own refusals.
var (
	notThere = &Outcome{Status: http.StatusNotFound, Issue: "not-found", Code: "REC_NOT_FOUND", Fault: FaultSender,
		Text: "The sandbox has no resource with this id; its one appointment and its one referral have " + sandboxID + "."}
	notUnderstood = &Outcome{Status: http.StatusBadRequest, Issue: "invalid", Code: "REC_BAD_REQUEST", Fault: FaultSender,
		Text: "The sandbox cannot read this body."}
	notMessage = notUnderstood.Saying("A message is a Bundle of the type message whose first entry is a MessageHeader.")
	notOffered = &Outcome{Status: http.StatusNotFound, Issue: "not-supported", Code: "REC_NOT_FOUND", Fault: FaultSender,
		Text: "The sandbox's own receiver does not have this path or method."}
)

// receive answers like a receiver that accepts every booking and referral and keeps none of them.
func (p *Proxy) receive(w http.ResponseWriter, r *http.Request) {
	name, id, one := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if !offers(name, one, r.Method) {
		notOffered.Write(w, r)
		return
	}
	if one && id != sandboxID {
		notThere.Write(w, r)
		return
	}
	body, outcome := p.bodyOf(w, r, name == messages)
	if outcome != nil {
		outcome.Write(w, r)
		return
	}
	status, answer := http.StatusOK, object(nil)
	switch {
	case name == "metadata":
		answer = capabilityStatement("The receiver that is built into the sandbox")
	case name == messages:
		answer, outcome = respond(body)
	case name == "MessageDefinition":
		answer = bundle("searchset", messageDefinition("servicerequest-request"), messageDefinition("booking-request"))
	case name == "Slot":
		answer = bundle("searchset", p.slot("1", 24*time.Hour), p.slot("2", 25*time.Hour))
	case r.Method == http.MethodPost:
		if status, answer, outcome = http.StatusCreated, withID(body), checkType(body, name); outcome == nil {
			w.Header().Set("Location", name+"/"+sandboxID)
		}
	case r.Method == http.MethodPut:
		answer, outcome = withID(body), checkType(body, name)
	case r.Method == http.MethodDelete:
		Echo(w.Header(), r)
		w.WriteHeader(http.StatusNoContent)
		return
	case !one:
		answer = bundle("searchset", p.example(name))
	default: // GET and PATCH of the only resource
		answer = p.example(name)
	}
	if outcome != nil {
		outcome.Write(w, r)
		return
	}
	writeResource(w, r, status, ContentType, answer)
}

// messages is the operation that takes messages.
const messages = "$process-message"

// offers reports whether the built-in receiver has an endpoint (BAR-1.2): a type, or one resource of it.
func offers(name string, one bool, method string) bool {
	switch {
	case name == messages:
		return !one && method == http.MethodPost
	case name == "metadata", name == "MessageDefinition", name == "Slot":
		return !one && method == http.MethodGet
	case name != "Appointment" && name != "ServiceRequest":
		return false
	case one:
		return method == http.MethodGet || method == http.MethodPut || method == http.MethodPatch || method == http.MethodDelete
	}
	return method == http.MethodGet || method == http.MethodPost
}

// bodyOf parses the body of a request that has one. A message may be XML, or empty like some of the public examples
// (BAR-5.23).
func (p *Proxy) bodyOf(w http.ResponseWriter, r *http.Request, message bool) (object, *Outcome) {
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		return nil, nil
	}
	place, err := p.Bodies.Take(w, r)
	var text []byte
	if err == nil {
		defer place.Release()
		text, err = place.Read(MaxBody, readTimeout)
	}
	switch {
	case errors.Is(err, share.ErrGivenUp), errors.Is(err, share.ErrFull):
		w.Header().Set("Retry-After", "1")
		return nil, tooMany.With("%v", err)
	case errors.Is(err, intake.ErrTooLarge):
		return nil, tooLarge.With("%v", err)
	case errors.Is(err, intake.ErrSlow):
		return nil, SlowSender.With("%v", err)
	case err != nil:
		return nil, notUnderstood.With("it did not arrive whole: %v", err)
	}
	text = bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")), " \t\r\n")
	if message && len(text) == 0 {
		return emptyMessage(), nil
	}
	if bytes.HasPrefix(text, []byte("<")) {
		return xmlResource(text)
	}
	var body object
	if err := json.Unmarshal(text, &body); err != nil || body == nil {
		return nil, notUnderstood.With("the body is not a JSON object: %v", err)
	}
	return body, nil
}

func checkType(body object, want string) *Outcome {
	if body["resourceType"] != want {
		return notUnderstood.Saying("Its resourceType is not %s.", want)
	}
	return nil
}

func withID(body object) object {
	body["id"] = sandboxID
	return body
}

// respond answers a message: a Bundle of type message that begins with a MessageHeader, whose id is optional.
func respond(message object) (object, *Outcome) {
	entries, _ := message["entry"].([]any)
	if message["resourceType"] != "Bundle" || message["type"] != "message" || len(entries) == 0 {
		return nil, notMessage
	}
	first, _ := entries[0].(object)
	header, _ := first["resource"].(object)
	if header["resourceType"] != "MessageHeader" {
		return nil, notMessage
	}
	id, _ := header["id"].(string)
	if id == "" {
		id, _ = message["id"].(string)
	}
	return bundle("message", object{
		"resourceType": "MessageHeader", "id": uuid.NewString(), "eventCoding": header["eventCoding"],
		"source":   object{"name": "Countersign sandbox", "endpoint": "https://sandbox.example.nhs.uk"},
		"response": object{"identifier": cmp.Or(id, uuid.NewString()), "code": "ok"},
	}), nil
}

func bundle(kind string, resources ...object) object {
	entries := make([]object, len(resources))
	for i, resource := range resources {
		entries[i] = object{"fullUrl": "urn:uuid:" + uuid.NewString(), "resource": resource}
	}
	made := object{"resourceType": "Bundle", "id": uuid.NewString(), "type": kind, "entry": entries}
	if kind == "searchset" {
		made["total"] = len(entries)
	}
	return made
}

func messageDefinition(event string) object {
	return object{
		"resourceType": "MessageDefinition", "id": event, "status": "active", "date": "2026-11-22", "category": "consequence",
		"eventCoding": object{"system": "https://fhir.nhs.uk/CodeSystem/message-events-bars", "code": event},
	}
}

func (p *Proxy) slot(id string, after time.Duration) object {
	start := p.Now().UTC().Truncate(time.Hour).Add(after)
	return object{
		"resourceType": "Slot", "id": id, "status": "free", "schedule": object{"reference": "Schedule/1"},
		"start": start.Format(time.RFC3339), "end": start.Add(30 * time.Minute).Format(time.RFC3339),
	}
}

// example returns the appointment or the referral.
func (p *Proxy) example(name string) object {
	if name == "Appointment" {
		slot := p.slot("1", 24*time.Hour)
		return object{
			"resourceType": "Appointment", "id": sandboxID, "status": "booked", "start": slot["start"], "end": slot["end"],
			"slot":        []object{{"reference": "Slot/1"}},
			"participant": []object{{"actor": object{"display": "Test Patient"}, "status": "accepted"}},
		}
	}
	return object{
		"resourceType": "ServiceRequest", "id": sandboxID, "status": "active", "intent": "order",
		"subject": object{"display": "Test Patient"},
	}
}
