package prescription

import "github.com/go-json-experiment/json/jsontext"

// These types hold the parts of FHIR R4 that the translation and the checks use. All other members are skipped.

const (
	fhirExtension = "https://fhir.nhs.uk/StructureDefinition/"

	extPrescriptionID    = fhirExtension + "Extension-DM-PrescriptionId"
	extPrescriptionType  = fhirExtension + "Extension-DM-PrescriptionType"
	extResponsible       = fhirExtension + "Extension-DM-ResponsiblePractitioner"
	extSiteType          = fhirExtension + "Extension-DM-PerformerSiteType"
	extControlledDrug    = fhirExtension + "Extension-DM-ControlledDrug"
	extEndorsement       = fhirExtension + "Extension-DM-PrescriptionEndorsement"
	extRepeatInformation = fhirExtension + "Extension-EPS-RepeatInformation"

	systemODS         = "https://fhir.nhs.uk/Id/ods-organization-code"
	systemNHSNumber   = "https://fhir.nhs.uk/Id/nhs-number"
	systemRoleProfile = "https://fhir.nhs.uk/Id/sds-role-profile-id"
	systemItemNumber  = "https://fhir.nhs.uk/Id/prescription-order-item-number"
	systemJobRoleCode = "https://fhir.nhs.uk/CodeSystem/NHSDigital-SDS-JobRoleCode"
	systemJobRoleName = "https://fhir.hl7.org.uk/CodeSystem/UKCore-SDSJobRoleName"
	systemEndorsement = "https://fhir.nhs.uk/CodeSystem/medicationrequest-endorsement"
	systemSNOMED      = "http://snomed.info/sct"
	systemsUKCore     = "https://fhir.hl7.org.uk/Id/" // prefix of the systems of professional codes
	gmcNumber         = "gmc-number"
	gmpNumber         = "gmp-number"
)

type messageHeader struct {
	EventCoding coding `json:"eventCoding"`
}

type medicationRequest struct {
	Extension           []extension      `json:"extension"`
	Identifier          []identifier     `json:"identifier"`
	BasedOn             []basedOn        `json:"basedOn"`
	Status              string           `json:"status"`
	Intent              string           `json:"intent"`
	MedicationConcept   *codeableConcept `json:"medicationCodeableConcept"`
	MedicationReference *reference       `json:"medicationReference"`
	Requester           reference        `json:"requester"`
	GroupIdentifier     groupIdentifier  `json:"groupIdentifier"`
	CourseOfTherapy     codeableConcept  `json:"courseOfTherapyType"`
	Note                []annotation     `json:"note"`
	Dosage              []dosage         `json:"dosageInstruction"`
	Dispense            dispenseRequest  `json:"dispenseRequest"`
	source              jsontext.Value   // the resource's JSON
}

type basedOn struct {
	Extension []extension `json:"extension"`
}

type groupIdentifier struct {
	Extension []extension `json:"extension"`
}

type annotation struct {
	Text string `json:"text"`
}

type dosage struct {
	Sequence jsontext.Value `json:"sequence"`
	Text     string         `json:"text"`
}

type dispenseRequest struct {
	ValidityPeriod jsontext.Value `json:"validityPeriod"`
	Quantity       quantity       `json:"quantity"`
	SupplyDuration jsontext.Value `json:"expectedSupplyDuration"`
	Repeats        jsontext.Value `json:"numberOfRepeatsAllowed"`
}

type quantity struct {
	Value jsontext.Value `json:"value"`
	Unit  string         `json:"unit"`
	Code  string         `json:"code"`
}

type patient struct {
	Identifier          []identifier   `json:"identifier"`
	Name                []humanName    `json:"name"`
	Telecom             []contactPoint `json:"telecom"`
	Gender              string         `json:"gender"`
	BirthDate           string         `json:"birthDate"`
	Address             []address      `json:"address"`
	GeneralPractitioner []reference    `json:"generalPractitioner"`
}

type practitionerRole struct {
	Identifier        []identifier      `json:"identifier"`
	Practitioner      *reference        `json:"practitioner"`
	Organization      *reference        `json:"organization"`
	HealthcareService []reference       `json:"healthcareService"`
	Code              []codeableConcept `json:"code"`
	Telecom           []contactPoint    `json:"telecom"`
}

type practitioner struct {
	Identifier []identifier   `json:"identifier"`
	Name       []humanName    `json:"name"`
	Telecom    []contactPoint `json:"telecom"`
}

type organization struct {
	Identifier []identifier   `json:"identifier"`
	Name       string         `json:"name"`
	Telecom    []contactPoint `json:"telecom"`
	Address    []address      `json:"address"`
	PartOf     *reference     `json:"partOf"`
}

type healthcareService struct {
	Identifier []identifier   `json:"identifier"`
	Name       string         `json:"name"`
	Telecom    []contactPoint `json:"telecom"`
	Location   []reference    `json:"location"`
}

type location struct {
	Address *address `json:"address"`
}

type medication struct {
	Code codeableConcept `json:"code"`
}

type communicationRequest struct {
	Payload []payload `json:"payload"`
}

type payload struct {
	ContentString    string     `json:"contentString"`
	ContentReference *reference `json:"contentReference"`
}

type list struct {
	Entry []listEntry `json:"entry"`
}

type listEntry struct {
	Item reference `json:"item"`
}

type provenance struct {
	Signature []signature `json:"signature"`
}

type signature struct {
	When string    `json:"when"`
	Who  reference `json:"who"`
	Data string    `json:"data"`
}

type identifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

type reference struct {
	Reference  string      `json:"reference"`
	Identifier *identifier `json:"identifier"`
	Display    string      `json:"display"`
}

type coding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

type codeableConcept struct {
	Coding []coding `json:"coding"`
}

type humanName struct {
	Use    string   `json:"use"`
	Text   string   `json:"text"`
	Family string   `json:"family"`
	Given  []string `json:"given"`
	Prefix []string `json:"prefix"`
	Suffix []string `json:"suffix"`
}

type address struct {
	Use        string   `json:"use"`
	Line       []string `json:"line"`
	City       string   `json:"city"`
	District   string   `json:"district"`
	State      string   `json:"state"`
	PostalCode string   `json:"postalCode"`
}

type contactPoint struct {
	Value string `json:"value"`
	Use   string `json:"use"`
}

type extension struct {
	URL             string          `json:"url"`
	Extension       []extension     `json:"extension"`
	ValueString     string          `json:"valueString"`
	ValueInteger    jsontext.Value  `json:"valueInteger"`
	ValueCoding     coding          `json:"valueCoding"`
	ValueConcept    codeableConcept `json:"valueCodeableConcept"`
	ValueIdentifier identifier      `json:"valueIdentifier"`
}
