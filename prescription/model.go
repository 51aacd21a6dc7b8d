package prescription

import "time"

// Prescription is exactly what a prescriber's signature covers: the content of the fragments. Translate makes one from a
// bundle, ReadFragments from fragments. Values that are absent from the fragments are empty.
type Prescription struct {
	Signed  time.Time `json:"signed"` // the signing time, in UTC and whole seconds
	ID      string    `json:"id"`
	Author  Author    `json:"author"`
	Patient Patient   `json:"patient"`
	Items   []Item    `json:"items"`
}

// Author is the prescriber.
type Author struct {
	RoleProfile      string       `json:"roleProfile,omitempty"` // SDS role profile id; may be empty
	JobRole          string       `json:"jobRole"`               // code
	Telecoms         []Telecom    `json:"telecoms,omitempty"`
	ProfessionalCode string       `json:"professionalCode"`
	Name             *Name        `json:"name,omitempty"` // nil: none is signed
	Organisation     Organisation `json:"organisation"`
}

// Organisation is where the author prescribes: a practice, or a service of a trust.
type Organisation struct {
	ODS     string  `json:"ods"`
	Name    string  `json:"name"`
	Telecom Telecom `json:"telecom"`
	Address Address `json:"address"`
	Parent  Parent  `json:"parent"`
}

// Parent is the organisation that the author's organisation is part of, or that organisation itself.
type Parent struct {
	ODS  string `json:"ods"`
	Name string `json:"name,omitempty"` // may be empty
}

// Patient is the person the items are for.
type Patient struct {
	NHSNumber string    `json:"nhsNumber"`
	Addresses []Address `json:"addresses,omitempty"`
	Telecoms  []Telecom `json:"telecoms,omitempty"`
	Names     []Name    `json:"names,omitempty"`
	Gender    string    `json:"gender"`   // of HL7: 1 male, 2 female, 9 other, 0 unknown
	Born      string    `json:"born"`     // YYYYMMDD
	Practice  string    `json:"practice"` // ODS code of the general practice
}

// Name is a person's name: either parts or a text.
type Name struct {
	Use    string   `json:"use,omitempty"`  // of HL7, such as L; may be empty
	Text   string   `json:"text,omitempty"` // only where there is no part
	Prefix []string `json:"prefix,omitempty"`
	Given  []string `json:"given,omitempty"` // an empty one is signed too
	Family string   `json:"family,omitempty"`
	Suffix []string `json:"suffix,omitempty"`
}

// Address is a postal address. All of it may be empty.
type Address struct {
	Use        string   `json:"use,omitempty"` // of HL7, such as H; may be empty
	Lines      []string `json:"lines,omitempty"`
	PostalCode string   `json:"postalCode,omitempty"`
}

// Telecom is a telephone number or another address for messages.
type Telecom struct {
	Use   string `json:"use,omitempty"`   // of HL7, such as WP; may be empty
	Value string `json:"value,omitempty"` // begins with "tel:" even if it is an email address; may be empty
}

// Item is one line of a prescription.
type Item struct {
	ID           string       `json:"id"`
	Repeats      string       `json:"repeats,omitempty"` // how often it may be issued; empty for an acute prescription
	Drug         Drug         `json:"drug"`
	Quantity     Quantity     `json:"quantity"`
	Instructions Instructions `json:"instructions,omitzero"`
	Endorsements []string     `json:"endorsements,omitempty"` // codes
	Dosage       string       `json:"dosage"`
}

// Drug is what is prescribed. Nothing checks that code and name agree.
type Drug struct {
	Code string `json:"code"`           // SNOMED
	Name string `json:"name,omitempty"` // may be empty
}

// Quantity is how much is prescribed.
type Quantity struct {
	Value    string `json:"value"`              // as the bundle spells the number
	UnitCode string `json:"unitCode,omitempty"` // SNOMED; may be empty
	Unit     string `json:"unit,omitempty"`     // may be empty
}

// Instructions are the additional instructions of an item. Medications and messages belong to the whole prescription and
// are in its first item.
type Instructions struct {
	Medications []string `json:"medications,omitempty"` // other medication of the patient
	PatientInfo []string `json:"patientInfo,omitempty"` // messages to the patient
	Text        string   `json:"text,omitempty"`        // "CD: " and the quantity in words, the note, or both on two lines
}

func (i *Instructions) empty() bool {
	return len(i.Medications) == 0 && len(i.PatientInfo) == 0 && i.Text == ""
}
