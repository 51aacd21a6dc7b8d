package prescription

import "time"

// Prescription is everything that a prescriber's signature covers, and nothing else: the content of the fragments, in
// the words of those who read it. Translate makes one of a bundle, ReadFragments of fragments. A text that the
// fragments leave out is empty here.
type Prescription struct {
	Signed  time.Time `json:"signed"` // the moment that is signed, in UTC and whole seconds
	ID      string    `json:"id"`
	Author  Author    `json:"author"`
	Patient Patient   `json:"patient"`
	Items   []Item    `json:"items"`
}

// Author is who prescribes, in which role, and for whom.
type Author struct {
	RoleProfile      string       `json:"roleProfile,omitempty"` // SDS role profile id; may be empty
	JobRole          string       `json:"jobRole"`               // code of the role
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

// Parent is the organisation that an author's one is part of; its own where it is part of none.
type Parent struct {
	ODS  string `json:"ods"`
	Name string `json:"name,omitempty"` // may be empty
}

// Patient is whom the items are for.
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

// Address is a postal address; it may be empty altogether.
type Address struct {
	Use        string   `json:"use,omitempty"` // of HL7, such as H; may be empty
	Lines      []string `json:"lines,omitempty"`
	PostalCode string   `json:"postalCode,omitempty"`
}

// Telecom is a way to reach somebody.
type Telecom struct {
	Use   string `json:"use,omitempty"`   // of HL7, such as WP; may be empty
	Value string `json:"value,omitempty"` // begins with "tel:", whatever it is; may be empty
}

// Item is one line of a prescription: a drug with its dose.
type Item struct {
	ID           string       `json:"id"`
	Repeats      string       `json:"repeats,omitempty"` // how often it may be issued; empty: it is not for repeats
	Drug         Drug         `json:"drug"`
	Quantity     Quantity     `json:"quantity"`
	Instructions Instructions `json:"instructions,omitzero"`
	Endorsements []string     `json:"endorsements,omitempty"` // codes
	Dosage       string       `json:"dosage"`
}

// Drug is what is prescribed. Whether code and name agree is for nobody here to say.
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

// Instructions are the additional instructions of an item. The first item of a prescription carries what concerns
// all of it.
type Instructions struct {
	Medications []string `json:"medications,omitempty"` // what the patient takes besides
	PatientInfo []string `json:"patientInfo,omitempty"` // messages to the patient
	Text        string   `json:"text,omitempty"`        // the quantity in words after "CD: ", if any, and the note on the line after it
}

func (i *Instructions) empty() bool {
	return len(i.Medications) == 0 && len(i.PatientInfo) == 0 && i.Text == ""
}
