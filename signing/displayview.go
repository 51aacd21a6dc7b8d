package signing

import (
	"cmp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seed-dd2befc3/countersign/prescription"
)

// display is what the page shows of a session's prescriptions.
type display struct {
	Display       string             `json:"display"`           // shown, or fallback: nothing is
	Missing       int                `json:"missing,omitzero"`  // payloads that cannot be shown
	Code          string             `json:"code"`              // of the batch
	Print         bool               `json:"print"`             // patients may be on paper
	Items         int                `json:"items,omitzero"`    // of all prescriptions
	Patients      int                `json:"patients,omitzero"` // by their NHS numbers
	Prescriptions []prescriptionView `json:"prescriptions,omitempty"`
}

// signedText is a text that is signed, of which nothing stays invisible: a string, or a list of strings and of the names
// of characters that cannot be seen.
type signedText string

// hiddenCharacter is one that is shown by its name.
type hiddenCharacter struct {
	Hidden string `json:"hidden"`
}

// MarshalJSON implements json.Marshaler.
func (t signedText) MarshalJSON() ([]byte, error) {
	runs := prescription.Runs(string(t))
	if len(runs) == 0 || len(runs) == 1 && !runs[0].Hidden {
		return json.Marshal(string(t))
	}
	parts := make([]any, len(runs))
	for i, run := range runs {
		if run.Hidden {
			parts[i] = hiddenCharacter{run.Text}
		} else {
			parts[i] = run.Text
		}
	}
	return json.Marshal(parts)
}

// Marks of a prescription: facts of the signed text, and no advice.
const (
	markInWords    = "in_words"    // a quantity is given in words, as for controlled drugs
	markSameName   = "same_name"   // another patient of the request has the same name
	markSameNumber = "same_number" // the NHS number stands under another name, too
	markHidden     = "hidden"      // a text has characters that cannot be seen
)

type prescriptionView struct {
	ID         string               `json:"id"` // of the payload
	Digest     string               `json:"digest"`
	Number     signedText           `json:"number"`          // of the prescription
	Signed     time.Time            `json:"signed"`          // the time that is signed
	Looked     bool                 `json:"looked,omitzero"` // the person has looked at it before
	Patient    patientView          `json:"patient"`
	Prescriber prescriberView       `json:"prescriber"`
	Items      []itemOfPrescription `json:"items"`
	Marks      []string             `json:"marks"`
}

type patientView struct {
	Heading   signedText   `json:"heading"` // the name in the form of the NHS common user interface
	Born      signedText   `json:"born"`
	Gender    signedText   `json:"gender"`
	NHSNumber signedText   `json:"nhsNumber"`
	Names     []signedText `json:"names,omitempty"` // letter by letter
	Addresses []signedText `json:"addresses,omitempty"`
	Telecoms  []signedText `json:"telecoms,omitempty"`
	Practice  signedText   `json:"practice"`
}

type prescriberView struct {
	Name         signedText   `json:"name,omitempty"`
	Code         signedText   `json:"code"` // professional
	RoleProfile  signedText   `json:"roleProfile,omitempty"`
	JobRole      signedText   `json:"jobRole"`
	Telecoms     []signedText `json:"telecoms,omitempty"`
	Organisation signedText   `json:"organisation"`
	ODS          signedText   `json:"ods"`
	Telecom      signedText   `json:"telecom,omitempty"`
	Address      signedText   `json:"address,omitempty"`
	Parent       signedText   `json:"parent,omitempty"`
	ParentODS    signedText   `json:"parentOds"`
}

type itemOfPrescription struct {
	Number       signedText   `json:"number"`
	Drug         signedText   `json:"drug,omitempty"`
	Code         signedText   `json:"code"` // SNOMED
	Dose         signedText   `json:"dose"`
	Quantity     signedText   `json:"quantity"`
	Unit         signedText   `json:"unit,omitempty"`
	UnitCode     signedText   `json:"unitCode,omitempty"`
	InWords      signedText   `json:"inWords,omitempty"`
	Repeats      signedText   `json:"repeats,omitempty"`
	Endorsements []signedText `json:"endorsements,omitempty"`
	Instructions signedText   `json:"instructions,omitempty"`
	Medications  []signedText `json:"medications,omitempty"` // other medication of the patient
	ToPatient    []signedText `json:"toPatient,omitempty"`   // messages
}

// newDisplay shows all prescriptions, or none if one cannot be shown.
func newDisplay(items []item, prescriptions []*prescription.Prescription, looked []bool, rules DisplayRules) display {
	shown := display{Display: displayShown, Print: rules.Print}
	for _, p := range prescriptions {
		if p == nil {
			shown.Missing++
		}
	}
	if shown.Missing > 0 || len(prescriptions) != len(items) {
		shown.Display = displayFallback
		return shown
	}
	who := newCrowd(prescriptions)
	shown.Patients = len(who.names)
	for i, p := range prescriptions {
		view := viewOfPrescription(p)
		view.ID, view.Digest, view.Looked = items[i].ID, digestOf(items[i].Payload), looked[i]
		view.Marks = append(view.Marks, who.marks(&p.Patient)...)
		shown.Items += len(view.Items)
		shown.Prescriptions = append(shown.Prescriptions, view)
	}
	return shown
}

func viewOfPrescription(p *prescription.Prescription) prescriptionView {
	view := prescriptionView{
		Number: signedText(p.ID), Signed: p.Signed, Patient: viewOfPatient(&p.Patient), Prescriber: viewOfPrescriber(&p.Author), Marks: []string{},
	}
	for i := range p.Items {
		it := viewOfItem(&p.Items[i])
		if it.InWords != "" && len(view.Marks) == 0 {
			view.Marks = append(view.Marks, markInWords)
		}
		view.Items = append(view.Items, it)
	}
	if text := string(p.Fragments()); prescription.Visible(text) != text {
		view.Marks = append(view.Marks, markHidden)
	}
	return view
}

func viewOfPatient(p *prescription.Patient) patientView {
	view := patientView{
		Heading: signedText(p.Heading()), Born: signedText(p.BornText()), Gender: signedText(p.GenderText()),
		NHSNumber: signedText(p.NHSNumberText()), Practice: signedText(p.Practice), Telecoms: telecomTexts(p.Telecoms),
	}
	for i := range p.Names {
		view.Names = append(view.Names, withUse(p.Names[i].String(), p.Names[i].Use))
	}
	for _, a := range p.Addresses {
		view.Addresses = append(view.Addresses, withUse(addressText(a), a.Use))
	}
	return view
}

func viewOfPrescriber(a *prescription.Author) prescriberView {
	o := &a.Organisation
	view := prescriberView{
		Code: signedText(a.ProfessionalCode), RoleProfile: signedText(a.RoleProfile), JobRole: signedText(a.JobRole),
		Telecoms: telecomTexts(a.Telecoms), Organisation: signedText(o.Name), ODS: signedText(o.ODS),
		Telecom: telecomText(o.Telecom), Address: withUse(addressText(o.Address), o.Address.Use),
		Parent: signedText(o.Parent.Name), ParentODS: signedText(o.Parent.ODS),
	}
	if a.Name != nil {
		view.Name = signedText(a.Name.String())
	}
	return view
}

func viewOfItem(it *prescription.Item) itemOfPrescription {
	words, _ := it.Instructions.QuantityInWords()
	return itemOfPrescription{
		Number: signedText(it.ID), Drug: signedText(it.Drug.Name), Code: signedText(it.Drug.Code), Dose: signedText(it.Dosage),
		Quantity: signedText(it.Quantity.Value), Unit: signedText(it.Quantity.Unit), UnitCode: signedText(it.Quantity.UnitCode),
		InWords: signedText(words), Repeats: signedText(it.Repeats), Endorsements: signedTexts(it.Endorsements),
		Instructions: signedText(it.Instructions.Text), Medications: signedTexts(it.Instructions.Medications),
		ToPatient: signedTexts(it.Instructions.PatientInfo),
	}
}

func signedTexts(texts []string) []signedText {
	var all []signedText
	for _, text := range texts {
		all = append(all, signedText(text))
	}
	return all
}

func telecomTexts(telecoms []prescription.Telecom) []signedText {
	var all []signedText
	for _, t := range telecoms {
		all = append(all, telecomText(t))
	}
	return all
}

func telecomText(t prescription.Telecom) signedText { return withUse(t.Value, t.Use) }

func addressText(a prescription.Address) string {
	lines := append([]string{}, a.Lines...)
	if a.PostalCode != "" {
		lines = append(lines, a.PostalCode)
	}
	return strings.Join(lines, "\n")
}

// withUse adds the code of HL7 for what a name, address or number is used for.
func withUse(text, use string) signedText {
	if use == "" {
		return signedText(text)
	}
	return signedText(strings.TrimSpace(text + " (" + use + ")"))
}

// crowd knows the patients of a request by their numbers and names.
type crowd struct {
	names   map[string]map[string]bool // by NHS number
	numbers map[string]map[string]bool // by name
}

func newCrowd(prescriptions []*prescription.Prescription) crowd {
	who := crowd{map[string]map[string]bool{}, map[string]map[string]bool{}}
	for _, p := range prescriptions {
		number, name := p.Patient.NHSNumber, nameOf(&p.Patient)
		add(who.names, number, name)
		add(who.numbers, name, number)
	}
	return who
}

func add(to map[string]map[string]bool, key, value string) {
	if to[key] == nil {
		to[key] = map[string]bool{}
	}
	to[key][value] = true
}

// nameOf is a patient's name for comparison.
func nameOf(p *prescription.Patient) string {
	return strings.Join(strings.Fields(strings.ToLower(cmp.Or(p.Heading(), p.NHSNumber))), " ")
}

func (c crowd) marks(p *prescription.Patient) []string {
	var marks []string
	if len(c.numbers[nameOf(p)]) > 1 {
		marks = append(marks, markSameName)
	}
	if len(c.names[p.NHSNumber]) > 1 {
		marks = append(marks, markSameNumber)
	}
	return marks
}
