package prescription

import (
	"cmp"
	"slices"
	"strings"
)

// communications adds the medication and the messages of all CommunicationRequests in the bundle (EPS-2.23).
func (t *translation) communications(to *Instructions) {
	size := 0
	for _, request := range resources[communicationRequest](t.bundle) {
		for i := range request.Payload {
			said := &request.Payload[i]
			if said.ContentString != "" {
				to.PatientInfo = append(to.PatientInfo, t.instruction(said.ContentString, "CommunicationRequest.payload.contentString"))
			}
			if said.ContentReference == nil {
				continue
			}
			for _, entry := range resolve[list](t, said.ContentReference).Entry {
				if entry.Item.Display == "" {
					continue
				}
				if size += len(entry.Item.Display); size > MaxBytes { // lists can be referred to many times
					t.refuse(invalid("List.entry", "Too many medications."))
					return
				}
				to.Medications = append(to.Medications, t.instruction(entry.Item.Display, "List.entry.item.display"))
			}
		}
	}
}

// inWords precedes the quantity in words of a controlled drug.
const inWords = "CD: "

// notes adds the request's quantity in words and its note.
func (t *translation) notes(request *medicationRequest, to *Instructions) {
	var lines []string
	if drug := t.extensionIfAny(request.Extension, extControlledDrug, "MedicationRequest.extension"); drug != nil {
		words := t.extensionIfAny(drug.Extension, "quantityWords", "MedicationRequest.extension.extension")
		if words != nil && words.ValueString != "" {
			lines = append(lines, inWords+words.ValueString)
		}
	}
	if note := atMostOne(t, all(request.Note), "MedicationRequest.note", ""); note != nil && note.Text != "" {
		lines = append(lines, note.Text)
	}
	to.Text = t.instruction(strings.Join(lines, "\n"), "MedicationRequest.note.text")
}

// instruction returns a text for the instructions, where EPS reads "&amp;" as "&" (EPS-2.23).
func (t *translation) instruction(text, path string) string {
	return t.text(strings.ReplaceAll(text, "&amp;", "&"), path)
}

// dosage returns the text of the only dosage, or joins several in the order of their sequence numbers (EPS-2.25).
func (t *translation) dosage(dosages []dosage) string {
	const path = "MedicationRequest.dosageInstruction"
	if len(dosages) == 0 {
		t.refuse(where("").tooFew(path))
		return ""
	}
	type numbered struct {
		number int
		text   string
	}
	steps := make([]numbered, len(dosages))
	for i, d := range dosages {
		if d.Text == "" {
			t.refuse(where("").tooFew(path + ".text"))
		}
		steps[i].text = d.Text
		if len(dosages) == 1 {
			break
		}
		var ok bool
		if steps[i].number, ok = integer(d.Sequence); !ok {
			t.refuse(invalid(path+".sequence", "Dosage instructions lacking complete sequencing"))
		}
	}
	slices.SortStableFunc(steps, func(a, b numbered) int { return cmp.Compare(a.number, b.number) })
	whole := steps[0].text
	for i, step := range steps[1:] {
		if step.number == steps[i].number {
			whole += ", and " + step.text
		} else {
			whole += ", then " + step.text
		}
	}
	return t.text(whole, path+".text")
}
