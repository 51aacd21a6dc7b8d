package demo

import (
	"fmt"
	"math/rand/v2"
)

// patient is made up: the names come from lists and the NHS number from the range 999, which is never issued.
type patient struct {
	NHSNumber, Given, Family, Gender, Born, Street, Town string
}

func newPatient(dice *rand.Rand) patient {
	type given struct{ name, gender string }
	name := pick(dice, []given{
		{"Ada", "female"}, {"Bela", "male"}, {"Chandra", "female"}, {"Daniel", "male"}, {"Efua", "female"},
		{"Farid", "male"}, {"Grace", "female"}, {"Hamish", "male"}, {"Indira", "female"}, {"Jonas", "male"},
		{"Kezia", "female"}, {"Liam", "male"}, {"Mei", "female"}, {"Nasir", "male"}, {"Olwen", "female"}, {"Piotr", "male"},
	})
	return patient{
		NHSNumber: testNHSNumber(dice),
		Given:     name.name,
		Family:    pick(dice, []string{"Example", "Sample", "Specimen", "Madeup", "Testcase", "Placeholder", "Fictional", "Pretend"}),
		Gender:    name.gender,
		Born:      fmt.Sprintf("%04d-%02d-%02d", 1930+dice.IntN(80), 1+dice.IntN(12), 1+dice.IntN(28)),
		Street:    fmt.Sprintf("%d %s", 1+dice.IntN(120), pick(dice, []string{"Example Street", "Sample Lane", "Specimen Road", "Nowhere Close"})),
		Town:      pick(dice, []string{"Leeds", "Exeter", "Hull", "Derby", "Carlisle", "Luton", "Truro", "Norwich"}),
	}
}

// String returns the patient for reading, with the NHS number in its three groups.
func (p patient) String() string {
	n := p.NHSNumber
	return fmt.Sprintf("%s %s, NHS number %s %s %s", p.Given, p.Family, n[:3], n[3:6], n[6:])
}

// resource returns the patient as a FHIR R4 Patient.
func (p patient) resource() string {
	return element("Patient",
		value("id", "patient"),
		identifier("https://fhir.nhs.uk/Id/nhs-number", p.NHSNumber),
		element("name", value("family", p.Family), value("given", p.Given)),
		value("gender", p.Gender),
		value("birthDate", p.Born),
		element("address", value("line", p.Street), value("city", p.Town)),
	)
}

// testNHSNumber makes a number of the range 999 with its check digit. One in eleven has no check digit and is not
// used.
func testNHSNumber(dice *rand.Rand) string {
	for {
		number := fmt.Sprintf("999%06d", dice.IntN(1_000_000))
		if check := nhsCheckDigit(number); check < 10 {
			return number + fmt.Sprint(check)
		}
	}
}

// nhsCheckDigit returns the tenth digit for nine (modulus 11, weights 10 to 2); 10 means that there is none.
func nhsCheckDigit(nine string) int {
	sum := 0
	for i := range 9 {
		sum += int(nine[i]-'0') * (10 - i)
	}
	return (11 - sum%11) % 11
}

// medicine is an entry of the dictionary of medicines and devices (dm+d) with one dosage.
type medicine struct {
	Code, Name     string // dm+d virtual medicinal product
	Dosage         string
	Quantity       int
	Unit, UnitCode string // SNOMED CT
}

func medicines() []medicine {
	const tablet, capsule, dose = "428673006", "428641000", "3317411000001100"
	return []medicine{
		{"319773006", "Amlodipine 5mg tablets", "One tablet once a day", 28, "tablet", tablet},
		{"39720311000001101", "Paracetamol 500mg soluble tablets", "Two tablets up to four times a day", 100, "tablet", tablet},
		{"39113611000001102", "Salbutamol 100micrograms/dose inhaler CFC free", "One or two puffs when needed", 200, "dose", dose},
		{"39732311000001104", "Amoxicillin 250mg capsules", "One capsule three times a day for seven days", 21, "capsule", capsule},
		{"39732411000001106", "Amoxicillin 500mg capsules", "One capsule three times a day for five days", 15, "capsule", capsule},
		{"42104811000001109", "Ibuprofen 200mg tablets", "One tablet three times a day after food", 84, "tablet", tablet},
		{"42104911000001104", "Ibuprofen 400mg tablets", "One tablet three times a day after food", 42, "tablet", tablet},
		{"17631311000001107", "Esomeprazole 20mg gastro-resistant capsules", "One capsule once a day before breakfast", 28, "capsule", capsule},
	}
}
