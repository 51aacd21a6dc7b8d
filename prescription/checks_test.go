package prescription

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// told formats an issue as one line: severity, code, text or code of the details, expression.
func told(i Issue) string {
	line := i.Severity + " " + i.Code + ": " + i.Text()
	for _, e := range i.Expression {
		line += " @ " + e
	}
	return line
}

// TestChecks has one case for each rule that no recorded case breaks in this way.
func TestChecks(t *testing.T) {
	const (
		request       = " @ Bundle.entry.resource.ofType(MedicationRequest)."
		noReference   = "error invalid: practitionerRole.organization populated incorrectly. Please populate with Reference to resource within Bundle."
		gmp           = "error value: Bundle resource Practitioner.identifier expected exactly one professional code from GMC|NMC|GPhC|HCPC|professional-code."
		unknownEvent  = "fatal value: MessageHeader.eventCoding.code must be one of: prescription-order, prescription-order-update, dispense-notification. @ Bundle.entry.resource.ofType(MessageHeader).eventCoding.code"
		wrongEvent    = "fatal invalid: MessageHeader.eventCoding.code must be 'prescription-order'. @ MessageHeader.eventCoding.code"
		same          = "error value: Expected all MedicationRequests to have the same value for "
		wrongResource = "fatal value: Incorrect FHIR resource type. Expected Bundle."
	)
	gmpNumber := object(t, `{"system": "https://fhir.hl7.org.uk/Id/gmp-number", "value": "G1"}`)
	for _, c := range []struct {
		name  string
		of    string
		edits []edit
		want  []string
	}{
		{"a Parameters", base, []edit{{"Bundle.resourceType", "Parameters"}}, []string{wrongResource}},
		{"no resource", base, []edit{{"Bundle.resourceType", absent{}}}, []string{wrongResource}},
		{"event of an update", base, []edit{{"MessageHeader.eventCoding.code", "prescription-order-update"}}, []string{wrongEvent}},
		{"an unknown event", base, []edit{{"MessageHeader.eventCoding.code", "x"}, {"MedicationRequest.intent", "plan"}}, []string{unknownEvent}},
		{"no event", base, []edit{{"MessageHeader.eventCoding", absent{}}}, []string{unknownEvent}},
		{"no header", base, []edit{{"MessageHeader.resourceType", "Basic"}}, []string{unknownEvent}},
		{"a reflex order", base, []edit{{"MedicationRequest.intent", "reflex-order"}},
			[]string{"error value: MedicationRequest.intent must be order, original-order or instance-order." + request + "intent"}},
		{"an instance order", base, []edit{{"MedicationRequest.intent", "instance-order"}}, nil},
		{"intent of one in two", "acute-and-continuous", []edit{{"MedicationRequest[1].intent", "plan"}},
			[]string{"error value: MedicationRequest.intent must be order, original-order or instance-order." + request + "intent"}},
		{"telecoms everywhere", base, []edit{
			{"Practitioner.telecom", object(t, `[{"use": "work", "value": "1"}, {}]`)},
			{"PractitionerRole.telecom[0].use", ""},
			{"Organization.telecom[0].value", absent{}},
			{"Patient.telecom", object(t, `[{}]`)},
		}, []string{
			"error invalid: Required field bundle.entry[5].resource.telecom[0].value is missing.",
			"error invalid: Required field bundle.entry[4].resource.telecom[1].value is missing.",
			"error invalid: Required field bundle.entry[4].resource.telecom[1].use is missing.",
			"error invalid: Required field bundle.entry[3].resource.telecom[0].use is missing.",
		}},
		{"services by name", clinic, []edit{{"PractitionerRole.healthcareService[0]", object(t, `{"display": "X"}`)}},
			[]string{"error invalid: practitionerRole.healthcareService populated incorrectly. Please populate with Reference to resource within Bundle."}},
		{"organization of two roles by name", "responsible-din", []edit{
			{"PractitionerRole.organization", object(t, `{"display": "X"}`)}, {"PractitionerRole[1].organization", object(t, `{"display": "X"}`)},
		}, []string{noReference, noReference, noReference}},
		{"a trust's organization is part of nothing", clinic, []edit{{"Organization.partOf", absent{}}}, nil},
		{"GMP numbers of two", "responsible-din", []edit{{"Practitioner.identifier[2]", gmpNumber}, {"Practitioner[1].identifier[2]", gmpNumber}}, []string{gmp, gmp}},
		{"repeat dispensing of the second only", "repeat-dispensing", []edit{
			{"MedicationRequest.dispenseRequest.validityPeriod", absent{}}, {"MedicationRequest[1].dispenseRequest.validityPeriod", absent{}},
		}, []string{"error value: Expected MedicationRequest to have a value for dispenseRequest.validityPeriod." + request + "dispenseRequest.validityPeriod"}},
		{"an acute prescription needs no period", base, []edit{{"MedicationRequest.dispenseRequest.validityPeriod", absent{}}}, nil},
		{"no status", base, []edit{{"MedicationRequest.status", absent{}}}, []string{"error value: MedicationRequest.status must be active." + request + "status"}},
		{"order of members does not matter", "acute-and-continuous", []edit{
			{"MedicationRequest.category", object(t, `[{"coding": [{"code": "a", "system": "b"}]}]`)}, {"MedicationRequest[1].category", object(t, `[{"coding": [{"system": "b", "code": "a"}]}]`)},
		}, nil},
		{"how a number is written does", "acute-and-continuous", []edit{
			{"MedicationRequest.dispenseRequest.expectedSupplyDuration.value", json.Number("28.0")},
		}, []string{same + `dispenseRequest.expectedSupplyDuration. Received [{"code":"d","system":"http://unitsofmeasure.org","unit":"day","value":28.0},` +
			`{"code":"d","system":"http://unitsofmeasure.org","unit":"day","value":28}].` + request + "dispenseRequest.expectedSupplyDuration"}},
		{"three values of four requests", "four-items", []edit{
			{"MedicationRequest.authoredOn", "a\"<\u2028\u00e9"}, {"MedicationRequest[1].authoredOn", absent{}}, {"MedicationRequest[2].authoredOn", absent{}},
		}, []string{same + `authoredOn. Received ["a\"<` + "\u2028\u00e9" + `",null,"2026-11-30T09:00:00+00:00"].` + request + "authoredOn"}},
		{"every field", "acute-and-continuous", []edit{
			{"MedicationRequest.groupIdentifier.value", "x"}, {"MedicationRequest.category", "x"}, {"MedicationRequest.subject.reference", "x"},
			{"MedicationRequest[1].requester.reference", "x"}, {"MedicationRequest.dispenseRequest.validityPeriod", absent{}},
			{"MedicationRequest.dispenseRequest.expectedSupplyDuration", absent{}}, {"MedicationRequest.dispenseRequest.performer", "x"},
			{"MedicationRequest.dispenseRequest.extension[0].valueCoding.code", "x"}, {"MedicationRequest.extension[0].valueCoding.code", "01x"},
			{"MedicationRequest.extension[1]", object(t, `{"url": "https://fhir.nhs.uk/StructureDefinition/Extension-DM-ResponsiblePractitioner"}`)},
			{"MedicationRequest.authoredOn", "x"},
		}, []string{
			"groupIdentifier", "category", "authoredOn", "subject", "requester", "dispenseRequest.performer", "dispenseRequest.validityPeriod", "dispenseRequest.expectedSupplyDuration",
			`dispenseRequest.extension("https://fhir.nhs.uk/StructureDefinition/Extension-DM-PerformerSiteType")`,
			`extension("https://fhir.nhs.uk/StructureDefinition/Extension-DM-PrescriptionType")`,
			`extension("https://fhir.nhs.uk/StructureDefinition/Extension-DM-ResponsiblePractitioner")`,
		}},
		{"everything in its order", "acute-and-continuous", []edit{
			{"MedicationRequest.intent", "plan"}, {"MedicationRequest.medicationReference", object(t, `{}`)}, {"Organization.telecom[0].use", absent{}},
			{"MedicationRequest.status", "draft"}, {"MedicationRequest.authoredOn", "x"}, {"PractitionerRole.healthcareService", object(t, `[{"display": "X"}]`)},
			{"Organization.partOf", absent{}}, {"Practitioner.identifier[2]", gmpNumber}, {"MedicationRequest.identifier[1]", object(t, `{"system": "https://fhir.nhs.uk/Id/prescription-order-item-number", "value": "1"}`)},
			{"MedicationRequest[1].identifier[1]", object(t, `{"system": "https://fhir.nhs.uk/Id/prescription-order-item-number", "value": "1"}`)},
			{"MedicationRequest.courseOfTherapyType.coding[0].code", "continuous-repeat-dispensing"}, {"MedicationRequest.dispenseRequest.expectedSupplyDuration", absent{}},
			{"MedicationRequest[1].dispenseRequest.expectedSupplyDuration", absent{}}, {"MedicationRequest.dosageInstruction[1]", object(t, `{"text": "x"}`)},
		}, []string{
			"MedicationRequest.intent must", "both medicationReference", "telecom[0].use is missing", "practitionerRole.healthcareService populated incorrectly", "same value for authoredOn",
			"Unexpected field of practitionerRole.healthcareService.", "organization.partOf is missing", "expected exactly one professional code", "value for dispenseRequest.expectedSupplyDuration",
			"status must be active", "different value for identifier", "multiple dosage instruction lines",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			issues := edited(t, c.of, c.edits...).Check(MayPrescribe)
			var got []string
			for _, issue := range issues {
				got = append(got, told(issue))
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %d issues, want %d:\n%s", len(got), len(c.want), strings.Join(got, "\n"))
			}
			for i := range got {
				if !strings.Contains(got[i], c.want[i]) {
					t.Errorf("issue %d: got\n%s\nwant\n%s", i, got[i], c.want[i])
				}
			}
		})
	}
}

// TestAccess: without the scope only the kind of the bundle is checked.
func TestAccess(t *testing.T) {
	const (
		app  = "urn:nhsd:apim:app:level3:electronic-prescription-service-api:prescribing"
		user = "urn:nhsd:apim:user-nhs-id:aal3:electronic-prescription-service-api:prescribing"
		no   = "Your app does not have permission to access prescribing functionality."
	)
	for scope, want := range map[string]string{
		user:                    "",
		app + " " + user:        "",
		"openid " + user + " x": "",
		"urn:nhsd:apim:user-nhs-cis2:aal3:fhir-prescribing": "",
		app: "Prescribing functionality can only be accessed using the user-restricted access mode.",
		"":  no,
		"urn:nhsd:apim:user-nhs-id:aal2:electronic-prescription-service-api:prescribing":         no,
		"urn:nhsd:apim:user-nhs-id:aal3:electronic-prescription-service-api:dispensing":          no,
		"urn:nhsd:apim:user:nhs-id:aal3:fhir-prescribing":                                        no,
		"xurn:nhsd:apim:user-nhs-id:aal3:fhir-prescribing":                                       no,
		"urn:nhsd:apim:user-nhs-id:aal3:electronic-prescription-service-api:prescribing-support": no,
	} {
		b := edited(t, "refused-several")
		issues := b.Check(AccessOf(scope))
		if want == "" {
			if len(issues) != 4 {
				t.Errorf("scope %q: got %d issues, want those of the bundle", scope, len(issues))
			}
			continue
		}
		if len(issues) != 1 || told(issues[0]) != "fatal forbidden: "+want {
			t.Errorf("scope %q: got %v, want %s", scope, issues, want)
		}
		if status := (Outcome{issues}).Status(); status != http.StatusForbidden {
			t.Errorf("scope %q: got status %d, want 403", scope, status)
		}
	}
	if issues := edited(t, "error-not-a-prescription").Check(Denied); len(issues) != 1 || issues[0].Code != "invalid" {
		t.Errorf("got %v, want the event refused first", issues)
	}
	mixed := Outcome{[]Issue{{Code: "forbidden"}, {Code: "value"}}}
	if mixed.Status() != http.StatusBadRequest {
		t.Errorf("got status %d of mixed issues, want 400", mixed.Status())
	}
}

// TestOutcome compares the resource byte for byte.
func TestOutcome(t *testing.T) {
	_, outcome := Prepare(edited(t, "error-gender"), MayPrescribe, "RS256", noon)
	got, err := json.Marshal(outcome)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"invalid","details":{"coding":[{"system":"https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode",` +
		`"code":"INVALID_VALUE","display":"Unhandled gender 'f'."}]},"expression":["Patient.gender"]}]}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
