package prescription

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

func (t *translation) items(requests []*medicationRequest) []Item {
	course := t.course(requests)
	if t.refusal != nil {
		return nil
	}
	items := make([]Item, len(requests))
	for i, request := range requests {
		items[i] = t.item(request, course)
		if i == 0 {
			t.communications(&items[i].Instructions)
		}
		t.notes(request, &items[i].Instructions)
		items[i].Endorsements = t.endorsements(request.Extension)
		items[i].Dosage = t.dosage(request.Dosage)
	}
	return items
}

// item translates a request's identifier, drug and quantity.
func (t *translation) item(request *medicationRequest, course string) Item {
	id := t.identifierIn(request.Identifier, systemItemNumber, "MedicationRequest.identifier")
	item := Item{ID: upperUUID(id), Repeats: t.repeats(request, course)}
	drug := t.drug(request)
	item.Drug = Drug{Code: drug.Code, Name: t.attribute(drug.Display, "Medication.code.coding.display")}
	const path = "MedicationRequest.dispenseRequest.quantity"
	amount := request.Dispense.Quantity
	if amount.Value.Kind() != '0' {
		t.refuse(where("").tooFew(path + ".value"))
	}
	item.Quantity = Quantity{
		Value: string(amount.Value), UnitCode: t.attribute(amount.Code, path+".code"), Unit: t.attribute(amount.Unit, path+".unit"),
	}
	return item
}

// drug returns the SNOMED coding of a request's medication. A coding in place wins over a reference (EPS-2.20).
func (t *translation) drug(request *medicationRequest) coding {
	if request.MedicationConcept != nil {
		return t.codingIn(*request.MedicationConcept, systemSNOMED, "MedicationRequest.medicationCodeableConcept")
	}
	return t.codingIn(resolve[medication](t, request.MedicationReference).Code, systemSNOMED, "Medication.code")
}

// Courses of therapy.
const (
	acute            = "acute"
	continuous       = "continuous"
	repeatDispensing = "continuous-repeat-dispensing"
)

// course returns the course of therapy of the whole prescription (EPS-2.26).
func (t *translation) course(requests []*medicationRequest) string {
	const path = "MedicationRequest.courseOfTherapyType.coding"
	codes := map[string]bool{}
	one := ""
	for _, request := range requests {
		one = only(t, all(request.CourseOfTherapy.Coding), path, "").Code
		codes[one] = true
	}
	switch {
	case len(codes) == 1 && (one == acute || one == continuous || one == repeatDispensing):
		return one
	case len(codes) == 2 && codes[acute] && codes[continuous]:
		return acute
	}
	t.refuse(invalid(path, "Course of therapy type must either match for all MedicationRequests or be a mixture of 'acute' and 'continuous'."))
	return ""
}

// repeats returns how often an item may be issued, or "" for an acute prescription. For repeat dispensing that is one more
// than the repeats allowed. The request that this one is based on may give that number, but the request itself must give
// one as well (EPS-2.26).
func (t *translation) repeats(request *medicationRequest, course string) string {
	switch course {
	case acute:
		return ""
	case continuous:
		return "1"
	}
	const path = "MedicationRequest.dispenseRequest.numberOfRepeatsAllowed"
	if request.Dispense.Repeats == nil {
		t.refuse(invalid(path, "Number of repeats allowed is required."))
		return ""
	}
	allowed := request.Dispense.Repeats
	for _, base := range request.BasedOn {
		const basePath = "MedicationRequest.basedOn.extension"
		if information := t.extensionIfAny(base.Extension, extRepeatInformation, basePath); information != nil {
			if of := t.extensionIfAny(information.Extension, "numberOfRepeatsAllowed", basePath+".extension"); of != nil {
				allowed = of.ValueInteger
				break
			}
		}
	}
	number, ok := integer(allowed)
	if !ok || number < 0 {
		t.refuse(invalid(path, "Incorrect format for integer '%s'.", orUndefined(string(allowed))))
	}
	return strconv.Itoa(number + 1)
}

// integer parses a FHIR integer of at most nine characters.
func integer(value jsontext.Value) (int, bool) {
	number, err := strconv.Atoi(string(value))
	return number, err == nil && len(value) <= 9
}

func (t *translation) endorsements(extensions []extension) []string {
	var codes []string
	for _, e := range extensionsOf(extensions, extEndorsement) {
		codes = append(codes, t.codingIn(e.ValueConcept, systemEndorsement, "MedicationRequest.extension.valueCodeableConcept").Code)
	}
	return codes
}
