package prescription

import (
	"slices"
	"testing"
)

const (
	base   = "acute-one-item"
	clinic = "healthcare-service"
)

// TestRefusals has one case for each way in which a translation can fail, beyond the recorded ones.
func TestRefusals(t *testing.T) {
	const (
		tooFew  = "Too few values submitted. Expected 1 element."
		tooMany = "Too many values submitted. Expected 1 element."
	)
	dangling := object(t, `{"reference": "urn:uuid:nowhere"}`)
	for _, c := range []struct {
		name string
		of   string
		edit edit
		code string
		text string
		path string
	}{
		{"no prescription id", base, edit{"MedicationRequest.groupIdentifier.extension", absent{}}, TooFew,
			"Too few values submitted. Expected 1 element where url == 'https://fhir.nhs.uk/StructureDefinition/Extension-DM-PrescriptionId'.", "MedicationRequest.groupIdentifier.extension"},
		{"prescription id without value", base, edit{"MedicationRequest.groupIdentifier.extension[0].valueIdentifier.value", absent{}}, TooFew, tooFew, "MedicationRequest.groupIdentifier.extension.valueIdentifier.value"},
		{"two NHS numbers", base, edit{"Patient.identifier[1]", object(t, `{"system": "https://fhir.nhs.uk/Id/nhs-number", "value": "2"}`)}, TooMany,
			"Too many values submitted. Expected 1 element where system == 'https://fhir.nhs.uk/Id/nhs-number'.", "Patient.identifier"},
		{"NHS number without value", base, edit{"Patient.identifier[0].value", absent{}}, TooFew, tooFew, "Patient.identifier.value"},
		{"two patients", base, edit{"Practitioner.resourceType", "Patient"}, TooMany, "Too many values submitted. Expected 1 element where resource.resourceType == 'Patient'.", "Bundle.entry"},
		{"no patient", base, edit{"Patient.resourceType", "Person"}, TooFew, "Too few values submitted. Expected 1 element where resource.resourceType == 'Patient'.", "Bundle.entry"},
		{"no request", base, edit{"MedicationRequest.resourceType", "MedicationStatement"}, InvalidValue, "Expected at least one MedicationRequest.", "Bundle.entry"},
		{"patient's name use", base, edit{"Patient.name[0].use", "Official"}, InvalidValue, "Unhandled name use 'Official'.", "Patient.name.use"},
		{"month 13", base, edit{"Patient.birthDate", "1957-13"}, InvalidValue, "Incorrect format for date string '1957-13'.", "Patient.birthDate"},
		{"30 February", base, edit{"Patient.birthDate", "1957-02-30"}, InvalidValue, "Incorrect format for date string '1957-02-30'.", "Patient.birthDate"},
		{"practice without a code", base, edit{"Patient.generalPractitioner[0].identifier.value", absent{}}, TooFew, tooFew, "Patient.generalPractitioner.identifier.value"},
		{"signed at no time", "signed-time-from-provenance", edit{"Provenance.signature[0].when", "yesterday"}, InvalidValue, "Incorrect format for date time string 'yesterday'.", "Provenance.signature.when"},
		{"signed at an absent time", "signed-time-from-provenance", edit{"Provenance.signature[0].when", absent{}}, InvalidValue, "Incorrect format for date time string 'undefined'.", "Provenance.signature.when"},
		{"signed without a zone", "signed-time-from-provenance", edit{"Provenance.signature[0].when", "2026-11-30T10:11:12"}, InvalidValue, "Incorrect format for date time string '2026-11-30T10:11:12'.", "Provenance.signature.when"},
		{"requester nowhere", base, edit{"MedicationRequest.requester", dangling}, TooFew, "Too few values submitted. Expected 1 element where fullUrl == 'urn:uuid:nowhere'.", "Bundle.entry"},
		{"no requester", base, edit{"MedicationRequest.requester", absent{}}, TooFew, "Too few values submitted. Expected 1 element where fullUrl == 'undefined'.", "Bundle.entry"},
		{"no practitioner", base, edit{"PractitionerRole.practitioner", absent{}}, TooFew, "Too few values submitted. Expected 1 element where fullUrl == 'undefined'.", "Bundle.entry"},
		{"no organization", base, edit{"PractitionerRole.organization", absent{}}, TooFew, "Too few values submitted. Expected 1 element where fullUrl == 'undefined'.", "Bundle.entry"},
		{"role profile of another system", base, edit{"PractitionerRole.identifier[0].system", "x"}, TooFew,
			"Too few values submitted. Expected 1 element where system == 'https://fhir.nhs.uk/Id/sds-role-profile-id'.", "PractitionerRole.identifier"},
		{"no job role", base, edit{"PractitionerRole.code[0].coding[0].system", "x"}, TooFew,
			"Too few values submitted. Expected 1 element where system == 'https://fhir.hl7.org.uk/CodeSystem/UKCore-SDSJobRoleName'.", "PractitionerRole.code.coding"},
		{"two job roles", base, edit{"PractitionerRole.code[1]", object(t, `{"coding": [{"system": "https://fhir.nhs.uk/CodeSystem/NHSDigital-SDS-JobRoleCode", "code": "R1"}]}`)}, TooMany,
			"Too many values submitted. Expected at most 1 element where system == 'https://fhir.nhs.uk/CodeSystem/NHSDigital-SDS-JobRoleCode'.", "PractitionerRole.code.coding"},
		{"two names of the practitioner", base, edit{"Practitioner.name[1]", object(t, `{"family": "X"}`)}, TooMany, tooMany, "Practitioner.name"},
		{"practitioner's name use", base, edit{"Practitioner.name[0].use", "x"}, InvalidValue, "Unhandled name use 'x'.", "Practitioner.name.use"},
		{"role's telecom use", base, edit{"PractitionerRole.telecom[0].use", "x"}, InvalidValue, "Unhandled telecom use 'x'.", "PractitionerRole.telecom.use"},
		{"two GMC numbers", base, edit{"Practitioner.identifier[2]", object(t, `{"system": "https://fhir.hl7.org.uk/Id/gmc-number", "value": "C1"}`)}, TooMany,
			"Expected exactly one professional code. One of GMC|GMP|NMC|GPhC|HCPC|unknown. But got: 7654321, 1", "Practitioner.identifier"},
		{"organization without ODS code", base, edit{"Organization.identifier", absent{}}, TooFew,
			"Too few values submitted. Expected 1 element where system == 'https://fhir.nhs.uk/Id/ods-organization-code'.", "Organization.identifier"},
		{"organization without name", base, edit{"Organization.name", absent{}}, TooFew, tooFew, "Organization.name"},
		{"organization without telecom", base, edit{"Organization.telecom", absent{}}, TooFew, tooFew, "Organization.telecom"},
		{"organization with two telecoms", base, edit{"Organization.telecom[1]", object(t, `{"value": "1", "use": "work"}`)}, TooMany, tooMany, "Organization.telecom"},
		{"organization without address", base, edit{"Organization.address", absent{}}, TooFew, tooFew, "Organization.address"},
		{"organization with two addresses", base, edit{"Organization.address[1]", object(t, `{"city": "X"}`)}, TooMany, tooMany, "Organization.address"},
		{"organization's address use", base, edit{"Organization.address[0].use", "old"}, InvalidValue, "Unhandled address use 'old'.", "Organization.address.use"},
		{"part of nowhere", "part-of-reference", edit{"Organization.partOf", dangling}, TooFew, "Too few values submitted. Expected 1 element where fullUrl == 'urn:uuid:nowhere'.", "Bundle.entry"},
		{"part of something without name", "part-of-reference", edit{"Organization[1].name", absent{}}, TooFew, tooFew, "Organization.name"},
		{"part of a display", base, edit{"Organization.partOf.identifier", absent{}}, TooFew, tooFew, "Organization.partOf.identifier"},
		{"service nowhere", clinic, edit{"PractitionerRole.healthcareService[0]", dangling}, TooFew, "Too few values submitted. Expected 1 element where fullUrl == 'urn:uuid:nowhere'.", "Bundle.entry"},
		{"service without location", clinic, edit{"HealthcareService.location", absent{}}, TooFew, tooFew, "HealthcareService.location"},
		{"service with two locations", clinic, edit{"HealthcareService.location[1]", dangling}, TooMany, tooMany, "HealthcareService.location"},
		{"service at no address", clinic, edit{"Location.address", absent{}}, TooFew, tooFew, "Location.address"},
		{"service's address use", clinic, edit{"Location.address.use", "old"}, InvalidValue, "Unhandled address use 'old'.", "Location.address.use"},
		{"service without name", clinic, edit{"HealthcareService.name", absent{}}, TooFew, tooFew, "HealthcareService.name"},
		{"service without telecom", clinic, edit{"HealthcareService.telecom", absent{}}, TooFew, tooFew, "HealthcareService.telecom"},
		{"service without ODS code", clinic, edit{"HealthcareService.identifier", absent{}}, TooFew,
			"Too few values submitted. Expected 1 element where system == 'https://fhir.nhs.uk/Id/ods-organization-code'.", "HealthcareService.identifier"},
		{"no course of therapy", base, edit{"MedicationRequest.courseOfTherapyType", absent{}}, TooFew, tooFew, "MedicationRequest.courseOfTherapyType.coding"},
		{"two courses of therapy", base, edit{"MedicationRequest.courseOfTherapyType.coding[1]", object(t, `{"code": "acute"}`)}, TooMany, tooMany, "MedicationRequest.courseOfTherapyType.coding"},
		{"an unknown course of therapy", base, edit{"MedicationRequest.courseOfTherapyType.coding[0].code", "seasonal"}, InvalidValue,
			"Course of therapy type must either match for all MedicationRequests or be a mixture of 'acute' and 'continuous'.", "MedicationRequest.courseOfTherapyType.coding"},
		{"repeats of the base alone", "repeat-dispensing-based-on", edit{"MedicationRequest.dispenseRequest.numberOfRepeatsAllowed", absent{}}, InvalidValue,
			"Number of repeats allowed is required.", "MedicationRequest.dispenseRequest.numberOfRepeatsAllowed"},
		{"half a repeat", "repeat-dispensing", edit{"MedicationRequest.dispenseRequest.numberOfRepeatsAllowed", 1.5}, InvalidValue,
			"Incorrect format for integer '1.5'.", "MedicationRequest.dispenseRequest.numberOfRepeatsAllowed"},
		{"no item number", base, edit{"MedicationRequest.identifier", absent{}}, TooFew,
			"Too few values submitted. Expected 1 element where system == 'https://fhir.nhs.uk/Id/prescription-order-item-number'.", "MedicationRequest.identifier"},
		{"no SNOMED code of the drug", base, edit{"MedicationRequest.medicationCodeableConcept.coding[0].system", "x"}, TooFew,
			"Too few values submitted. Expected 1 element where system == 'http://snomed.info/sct'.", "MedicationRequest.medicationCodeableConcept.coding"},
		{"no SNOMED code of the drug referred to", "medication-reference", edit{"Medication.code", absent{}}, TooFew,
			"Too few values submitted. Expected 1 element where system == 'http://snomed.info/sct'.", "Medication.code.coding"},
		{"no drug", base, edit{"MedicationRequest.medicationCodeableConcept", absent{}}, TooFew, "Too few values submitted. Expected 1 element where fullUrl == 'undefined'.", "Bundle.entry"},
		{"no quantity", base, edit{"MedicationRequest.dispenseRequest.quantity", absent{}}, TooFew, tooFew, "MedicationRequest.dispenseRequest.quantity.value"},
		{"quantity in a string", base, edit{"MedicationRequest.dispenseRequest.quantity.value", "28"}, TooFew, tooFew, "MedicationRequest.dispenseRequest.quantity.value"},
		{"no dosage", base, edit{"MedicationRequest.dosageInstruction", absent{}}, TooFew, tooFew, "MedicationRequest.dosageInstruction"},
		{"dosage without text", base, edit{"MedicationRequest.dosageInstruction[0].text", absent{}}, TooFew, tooFew, "MedicationRequest.dosageInstruction.text"},
		{"endorsement of another system", "endorsements", edit{"MedicationRequest.extension[1].valueCodeableConcept.coding[0].system", "x"}, TooFew,
			"Too few values submitted. Expected 1 element where system == 'https://fhir.nhs.uk/CodeSystem/medicationrequest-endorsement'.", "MedicationRequest.extension.valueCodeableConcept.coding"},
		{"list nowhere", "communication-list-and-text", edit{"CommunicationRequest.payload[0].contentReference", dangling}, TooFew,
			"Too few values submitted. Expected 1 element where fullUrl == 'urn:uuid:nowhere'.", "Bundle.entry"},
		{"form feed in a text", base, edit{"MedicationRequest.note[0].text", "a\fb"}, InvalidValue, "The value cannot be written as XML: character U+000C is not allowed in XML.", "MedicationRequest.note.text"},
		{"control character in a name", base, edit{"Patient.name[0].family", "a\x00b"}, InvalidValue, "The value cannot be written as XML: character U+0000 is not allowed in XML.", "Patient.name.family"},
		{"U+FFFE in an attribute", base, edit{"MedicationRequest.dispenseRequest.quantity.unit", "a\ufffe"}, InvalidValue,
			"The value cannot be written as XML: character U+FFFE is not allowed in XML.", "MedicationRequest.dispenseRequest.quantity.unit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, got := Translate(edited(t, c.of, c.edit), noon)
			if want := (&Refusal{c.code, c.text, c.path}); got == nil || *got != *want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestOrderOfRefusals: the patient is checked before the author, the author before the items, and items in order.
func TestOrderOfRefusals(t *testing.T) {
	edits := []edit{
		{"Patient.gender", absent{}},
		{"PractitionerRole.code", absent{}},
		{"MedicationRequest.courseOfTherapyType.coding[0].code", "x"},
		{"MedicationRequest.identifier", absent{}},
		{"MedicationRequest.dispenseRequest.quantity", absent{}},
		{"MedicationRequest.dosageInstruction", absent{}},
		{"MedicationRequest[1].identifier", absent{}},
	}
	for i, path := range []string{
		"Patient.gender", "PractitionerRole.code.coding", "MedicationRequest.courseOfTherapyType.coding", "MedicationRequest.identifier",
		"MedicationRequest.dispenseRequest.quantity.value", "MedicationRequest.dosageInstruction", "MedicationRequest.identifier",
	} {
		_, got := Translate(edited(t, "four-items", edits[i:]...), noon)
		if got == nil || got.Path != path {
			t.Errorf("from edit %d on: got %v, want a refusal of %s", i, got, path)
		}
	}
}

// TestListsReferredToOften: a bundle within the limits cannot grow into something far larger.
func TestListsReferredToOften(t *testing.T) {
	whole := loadTree(t, "communication-list-and-text")
	reference := whole.resource(t, "CommunicationRequest")["payload"].([]any)[0]
	whole.apply(t, edit{"CommunicationRequest.payload", slices.Repeat([]any{reference}, 3000)})
	whole.apply(t, edit{"List.entry", slices.Repeat([]any{object(t, `{"item": {"display": "Ramipril 5mg capsules"}}`)}, 3000)})
	_, got := Translate(mustRead(t, whole.source(t)), noon)
	if want := (&Refusal{InvalidValue, "Too many medications.", "List.entry"}); got == nil || *got != *want {
		t.Errorf("got %v, want %v", got, want)
	}
}
