package prescription

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestParts has one case for each rule of the translation that no recorded case covers.
func TestParts(t *testing.T) {
	for _, c := range []struct {
		name  string
		of    string
		edits []edit
		want  string // part of the fragments
	}{
		{"nothing is signed twice", base, []edit{{"Bundle.type", "x"}, {"MedicationRequest.subject.reference", "urn:uuid:nowhere"}}, `<id extension="9990000018"`},
		{"an empty name", base, []edit{{"Patient.name[0]", object(t, `{"use": "old"}`)}}, `<name use="PREVIOUS"></name>`},
		{"anonymous", base, []edit{{"Patient.name[0].use", "anonymous"}}, `<name use="A"><prefix>`},
		{"no name at all", base, []edit{{"Patient.name", absent{}}}, `<patientPerson classCode="PSN" determinerCode="INSTANCE"><administrativeGenderCode`},
		{"no address at all", base, []edit{{"Patient.address", absent{}}}, `root="2.16.840.1.113883.2.1.4.1"></id><patientPerson`},
		{"an empty prefix", base, []edit{{"Patient.name[0].prefix[0]", ""}}, `<name use="L"><prefix></prefix><given>`},
		{"text beside an empty given name", base, []edit{{"Patient.name[0]", object(t, `{"text": "X", "given": [""]}`)}}, `<name><given></given></name>`},
		{"text beside empty lists", base, []edit{{"Patient.name[0]", object(t, `{"text": "X", "given": [], "family": ""}`)}}, `<name>X</name>`},
		{"no list of practices", base, []edit{{"Patient.generalPractitioner", []any{}}}, `<id extension="V81999"`},
		{"empty telecoms of the role", "telecom-of-practitioner", []edit{{"PractitionerRole.telecom", []any{}}}, `<telecom use="WP" value="tel:01614960777">`},
		{"telecom of the organization", base, []edit{
			{"PractitionerRole.telecom", absent{}},
			{"PractitionerRole.practitioner", object(t, `{"identifier": {"system": "https://fhir.hl7.org.uk/Id/nmc-number", "value": "12A3456E"}, "display": "Nurse Zhou"}`)},
		}, `<telecom use="WP" value="tel:01422496000"></telecom><agentPerson classCode="PSN" determinerCode="INSTANCE">` +
			`<id extension="12A3456E" root="1.2.826.0.1285.0.2.1.54"></id><name>Nurse Zhou</name></agentPerson>`},
		{"no name of a practitioner by identifier", base, []edit{
			{"PractitionerRole.practitioner", object(t, `{"identifier": {"system": "https://fhir.hl7.org.uk/Id/gmc-number", "value": "C7"}}`)},
		}, `<id extension="7" root="1.2.826.0.1285.0.2.1.54"></id></agentPerson>`},
		{"empty identifiers of the role", base, []edit{{"PractitionerRole.identifier", []any{}}}, `classCode="AGNT"><code code="S0030`},
		{"job role in the second concept", base, []edit{
			{"PractitionerRole.code", object(t, `[{"coding": [{"system": "x", "code": "y"}]}, {"coding": [{"system": "https://fhir.hl7.org.uk/CodeSystem/UKCore-SDSJobRoleName", "code": "R9"}]}]`)},
		}, `<code code="R9" codeSystem="1.2.826.0.1285.0.2.1.104">`},
		{"part of something without a name", base, []edit{{"Organization.partOf.display", absent{}}},
			`<id extension="84H" root="1.2.826.0.1285.0.1.10"></id><code code="999" codeSystem="2.16.840.1.113883.2.1.3.2.4.17.94"></code></Organization>`},
		{"a service of an organization that is part of nothing", clinic, []edit{{"Organization.partOf", absent{}}}, `<name>WEAVERS GREEN SURGERY</name></Organization>`},
		{"the first of two services", clinic, []edit{{"PractitionerRole.healthcareService[1]", object(t, `{"reference": "urn:uuid:nowhere"}`)}}, `<name>PAIN CLINIC</name>`},
		{"medication in place wins", base, []edit{{"MedicationRequest.medicationReference", object(t, `{"reference": "urn:uuid:nowhere"}`)}}, `displayName="Ramipril 5mg capsules"`},
		{"drug without a name", base, []edit{{"MedicationRequest.medicationCodeableConcept.coding[0].display", absent{}}}, `<code code="319740004" codeSystem="2.16.840.1.113883.2.1.3.2.4.15"></code>`},
		{"quantity without a unit", base, []edit{
			{"MedicationRequest.dispenseRequest.quantity", object(t, `{"value": -0.50e-1}`)},
		}, `<quantity unit="1" value="-0.50e-1"><translation codeSystem="2.16.840.1.113883.2.1.3.2.4.15" value="-0.50e-1"></translation>`},
		{"acute and continuous, the other way round", "acute-and-continuous", []edit{
			{"MedicationRequest.courseOfTherapyType.coding[0].code", "continuous"}, {"MedicationRequest[1].courseOfTherapyType.coding[0].code", "acute"},
		}, `<effectiveTime nullFlavor="NA"></effectiveTime><product`},
		{"no repeats allowed", "repeat-dispensing", []edit{{"MedicationRequest.dispenseRequest.numberOfRepeatsAllowed", 0}}, `<high value="1">`},
		{"based on nothing in particular", "repeat-dispensing-based-on", []edit{{"MedicationRequest.basedOn", object(t, `[{"reference": "x"}]`)}}, `<high value="6">`},
		{"based on something without a number", "repeat-dispensing-based-on", []edit{{"MedicationRequest.basedOn[0].extension[0].extension", []any{}}}, `<high value="6">`},
		{"an id with a letter that grows", base, []edit{{"MedicationRequest.identifier[0].value", "straße-abcdef01-2345-4678-89ab-cdef01234567"}}, `<id root="STRASSE-ABCDEF01-2345-4678-89AB-CDEF01234567">`},
		{"ids that are nearly UUIDs", base, []edit{
			{"MedicationRequest.identifier[0].value", "abcdef0-2345-4678-89ab-cdef01234567"},
		}, `<id root="abcdef0-2345-4678-89ab-cdef01234567">`},
		{"words without a schedule", base, []edit{
			{"MedicationRequest.extension[1]", object(t, `{"url": "https://fhir.nhs.uk/StructureDefinition/Extension-DM-ControlledDrug", "extension": [{"url": "quantityWords", "valueString": "ten"}]}`)},
		}, `<value>CD: ten</value>`},
		{"a schedule without words", base, []edit{
			{"MedicationRequest.extension[1]", object(t, `{"url": "https://fhir.nhs.uk/StructureDefinition/Extension-DM-ControlledDrug", "extension": [{"url": "schedule"}]}`)},
		}, `</component><pertinentInformation2 `},
		{"a note is read once", base, []edit{{"MedicationRequest.note[0].text", "&amp;amp; &amp;#65; \r\n&"}}, "<value>&amp;amp;amp; &amp;amp;#65; \n&amp;amp;</value>"},
		{"entries of a list without names", "communication-list-and-text", []edit{{"List.entry[0].item.display", absent{}}}, `<value>&lt;medication&gt;Aspirin 75mg tablets&lt;/medication&gt;`},
		{"a dosage with the number of another", "dosage-sequence", []edit{{"MedicationRequest.dosageInstruction[3].sequence", 2}},
			`<value>one each morning, and one at noon, then then one at night, and stop</value>`},
		{"one dosage without a number", base, []edit{{"MedicationRequest.dosageInstruction[0].text", " a\tb "}}, "<value> a\tb </value>"},
		{"carriage return and next line", base, []edit{{"MedicationRequest.dosageInstruction[0].text", "a\r\u0085b\r\rc"}}, "<value>a\nb\n\nc</value>"},
		{"signed at the end of a day", "signed-time-from-provenance", []edit{{"Provenance.signature[0].when", "2026-11-30T23:59:59.999999-01:00"}}, `value="20261201005959"`},
		{"the second signature", "signed-time-from-provenance", []edit{
			{"Provenance.signature[1]", object(t, `{"when": "2026-01-01T00:00:00Z", "who": {"reference": "urn:uuid:nobody"}}`)},
		}, `value="20261130091112"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, refusal := Translate(edited(t, c.of, c.edits...), noon)
			if refusal != nil {
				t.Fatal(refusal)
			}
			got := p.Fragments()
			if !strings.Contains(string(got), c.want) {
				t.Errorf("got\n%s\nwant it to contain\n%s", got, c.want)
			}
			if _, err := ReadFragments(got); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSignedAt: the time is in UTC, without fractions of a second.
func TestSignedAt(t *testing.T) {
	p, refusal := Translate(edited(t, base), time.Date(2026, 12, 1, 0, 30, 0, 999_999_999, time.FixedZone("", 3600)))
	if refusal != nil {
		t.Fatal(refusal)
	}
	if want := time.Date(2026, 11, 30, 23, 30, 0, 0, time.UTC); p.Signed != want {
		t.Errorf("got %v, want %v", p.Signed, want)
	}
}

// TestParameters compares the answer of $prepare byte for byte.
func TestParameters(t *testing.T) {
	prepared, outcome := Prepare(edited(t, base), MayPrescribe, "RS256", noon)
	if outcome != nil {
		t.Fatal(outcome)
	}
	got, err := json.Marshal(prepared)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"resourceType":"Parameters","parameter":[{"name":"digest","valueString":"` + prepared.Digest() + `"},` +
		`{"name":"timestamp","valueString":"2026-11-30T12:00:00+00:00"},{"name":"algorithm","valueString":"RS256"}]}`
	if string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
