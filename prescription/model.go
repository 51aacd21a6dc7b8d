package prescription

import "time"

// Prescription is everything that a prescriber's signature covers, and nothing else: the content of the fragments, in
// the words of those who read it. Translate makes one of a bundle, ReadFragments of fragments. A text that the
// fragments leave out is empty here.
type Prescription struct {
	Signed  time.Time // the moment that is signed, in UTC and whole seconds
	ID      string
	Author  Author
	Patient Patient
	Items   []Item
}

// Author is who prescribes, in which role, and for whom.
type Author struct {
	RoleProfile      string // SDS role profile id; may be empty
	JobRole          string // code of the role
	Telecoms         []Telecom
	ProfessionalCode string
	Name             *Name // nil: none is signed
	Organisation     Organisation
}

// Organisation is where the author prescribes: a practice, or a service of a trust.
type Organisation struct {
	ODS     string
	Name    string
	Telecom Telecom
	Address Address
	Parent  Parent
}

// Parent is the organisation that an author's one is part of; its own where it is part of none.
type Parent struct {
	ODS  string
	Name string // may be empty
}

// Patient is whom the items are for.
type Patient struct {
	NHSNumber string
	Addresses []Address
	Telecoms  []Telecom
	Names     []Name
	Gender    string // of HL7: 1 male, 2 female, 9 other, 0 unknown
	Born      string // YYYYMMDD
	Practice  string // ODS code of the general practice
}

// Name is a person's name: either parts or a text.
type Name struct {
	Use    string // of HL7, such as L; may be empty
	Text   string // only where there is no part
	Prefix []string
	Given  []string // an empty one is signed too
	Family string
	Suffix []string
}

// Address is a postal address; it may be empty altogether.
type Address struct {
	Use        string // of HL7, such as H; may be empty
	Lines      []string
	PostalCode string
}

// Telecom is a way to reach somebody.
type Telecom struct {
	Use   string // of HL7, such as WP; may be empty
	Value string // begins with "tel:", whatever it is; may be empty
}

// Item is one line of a prescription: a drug with its dose.
type Item struct {
	ID           string
	Repeats      string // how often it may be issued; empty: it is not for repeats
	Drug         Drug
	Quantity     Quantity
	Instructions Instructions
	Endorsements []string // codes
	Dosage       string
}

// Drug is what is prescribed. Whether code and name agree is for nobody here to say.
type Drug struct {
	Code string // SNOMED
	Name string // may be empty
}

// Quantity is how much is prescribed.
type Quantity struct {
	Value    string // as the bundle spells the number
	UnitCode string // SNOMED; may be empty
	Unit     string // may be empty
}

// Instructions are the additional instructions of an item. The first item of a prescription carries what concerns
// all of it.
type Instructions struct {
	Medications []string // what the patient takes besides
	PatientInfo []string // messages to the patient
	Text        string   // the quantity in words after "CD: ", if any, and the note on the line after it
}

func (i *Instructions) empty() bool {
	return len(i.Medications) == 0 && len(i.PatientInfo) == 0 && i.Text == ""
}
