package demo

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
)

// prescription is one made-up prescription: one medicine for one made-up patient.
type prescription struct {
	ID       string // of the prescription's only item, and of its payload
	Number   string // of the prescription, as printed
	Patient  patient
	Medicine medicine
	signer   string // SDS user id
	authored time.Time
}

// prescribe makes prescription i of a seed's batch: the same for the same arguments.
func prescribe(seed uuid.UUID, i int, signer string, authored time.Time) prescription {
	name := fmt.Appendf(seed[:], "/%d", i)
	dice := rand.New(rand.NewChaCha8(sha256.Sum256(name))) //nolint:gosec // //nolint:gosec // made-up people, reproducible
	return prescription{
		ID:       uuid.NewSHA1(seed, name).String(),
		Number:   prescriptionNumber(dice),
		Patient:  newPatient(dice),
		Medicine: pick(dice, medicines()),
		signer:   signer,
		authored: authored,
	}
}

func pick[T any](dice *rand.Rand, from []T) T { return from[dice.IntN(len(from))] }

// document returns the prescription as a FHIR R4 MedicationRequest in canonical XML: no white space between elements,
// explicit end tags, one namespace.
func (p prescription) document() string {
	const fhir, snomed = "http://hl7.org/fhir", "http://snomed.info/sct"
	request := element("MedicationRequest",
		value("id", p.ID),
		element("contained", p.Patient.resource()),
		identifier("https://fhir.nhs.uk/Id/prescription-order-item-number", p.ID),
		value("status", "active"),
		value("intent", "order"),
		element("category", coding("http://terminology.hl7.org/CodeSystem/medicationrequest-category", "community", "Community")),
		element("medicationCodeableConcept", coding(snomed, p.Medicine.Code, p.Medicine.Name)),
		element("subject", value("reference", "#patient")),
		value("authoredOn", p.authored.Format(time.RFC3339)),
		element("requester", identifier("https://fhir.nhs.uk/Id/sds-user-id", p.signer)),
		element("groupIdentifier",
			value("system", "https://fhir.nhs.uk/Id/prescription-order-number"), value("value", p.Number)),
		element("dosageInstruction", value("text", p.Medicine.Dosage)),
		element("dispenseRequest", element("quantity",
			value("value", fmt.Sprint(p.Medicine.Quantity)), value("unit", p.Medicine.Unit),
			value("system", snomed), value("code", p.Medicine.UnitCode))),
	)
	return strings.Replace(request, "<MedicationRequest>", `<MedicationRequest xmlns="`+fhir+`">`, 1)
}

func element(name string, children ...string) string {
	return "<" + name + ">" + strings.Join(children, "") + "</" + name + ">"
}

// value returns an element of a FHIR primitive type.
func value(name, v string) string {
	return "<" + name + ` value="` + client.EscapeAttribute(v) + `"></` + name + ">"
}

func identifier(system, v string) string {
	return element("identifier", value("system", system), value("value", v))
}

func coding(system, code, display string) string {
	return element("coding", value("system", system), value("code", code), value("display", display))
}

// prescriptionNumber makes a short-form prescription id of a made-up practice, whose last character is a check
// character (ISO/IEC 7064, MOD 37-2).
func prescriptionNumber(dice *rand.Rand) string {
	const practice = "Z99999"
	number := fmt.Sprintf("%06X-%s-%05X", dice.IntN(1<<24), practice, dice.IntN(1<<20))
	return number + string(mod37(strings.ReplaceAll(number, "-", "")))
}

const mod37Characters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+"

func mod37(text string) byte {
	sum := 0
	for i := range len(text) {
		sum = (sum + strings.IndexByte(mod37Characters, text[i])) * 2 % 37
	}
	return mod37Characters[(38-sum)%37]
}
