package prescription

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

func (n *notation) item(i *Item) {
	n.markup(`<Fragment><pertinentLineItem` + hl7 + ` classCode="SBADM" moodCode="RQO"><id`)
	n.rootID(&i.ID)
	n.markup(`></id><code code="225426007" codeSystem="` + oidSNOMED + `" displayName="Administration of therapeutic substance (procedure)"></code>` +
		`<effectiveTime nullFlavor="NA"></effectiveTime>`)
	if n.when(i.Repeats != "", `<repeatNumber>`) {
		n.markup(`<repeatNumber><high`)
		n.attribute("value", &i.Repeats, isRepeats)
		n.markup(`></high></repeatNumber>`)
	}
	n.markup(`<product contextControlCode="OP" typeCode="PRD"><manufacturedProduct classCode="MANU">` +
		`<manufacturedRequestedMaterial classCode="MMAT" determinerCode="KIND"><code`)
	n.attribute("code", &i.Drug.Code, notEmpty)
	n.markup(` codeSystem="` + oidSNOMED + `"`)
	n.optional("displayName", &i.Drug.Name)
	n.markup(`></code></manufacturedRequestedMaterial></manufacturedProduct></product>`)
	n.quantity(&i.Quantity)
	if n.when(!i.Instructions.empty(), `<pertinentInformation1 `) {
		n.annotation("1", "AdditionalInstructions", "AI", func() { n.instructions(&i.Instructions) })
	}
	each(n, `<pertinentInformation3 `, &i.Endorsements, func(code *string) {
		n.annotation("3", "PrescriberEndorsement", "PE", func() {
			n.markup(`<value`)
			n.attribute("code", code, notEmpty)
			n.markup(` codeSystem="` + oidEndorsement + `"></value>`)
		})
	})
	n.annotation("2", "DosageInstructions", "DI", func() { n.element("value", &i.Dosage) })
	n.must(notEmpty(i.Dosage))
	n.markup(`</pertinentLineItem></Fragment>`)
}

func (n *notation) quantity(q *Quantity) {
	n.markup(`<component typeCode="COMP"><seperatableInd value="false"></seperatableInd><lineItemQuantity classCode="SPLY" moodCode="RQO">` +
		`<code code="373784005" codeSystem="` + oidSNOMED + `" displayName="Dispensing medication (procedure)"></code><quantity unit="1"`)
	n.attribute("value", &q.Value, isNumber)
	n.markup(`><translation`)
	n.optional("code", &q.UnitCode)
	n.markup(` codeSystem="` + oidSNOMED + `"`)
	n.optional("displayName", &q.Unit)
	again := q.Value
	n.attribute("value", &again)
	if again != q.Value {
		n.must(errors.New("two quantities"))
	}
	n.markup(`></translation></quantity></lineItemQuantity></component>`)
}

// annotation is one piece of pertinent information about an item (EPS-2.22). number is part of the name of its relation.
func (n *notation) annotation(number, kind, code string, value func()) {
	for _, part := range [...]string{
		`<pertinentInformation`, number, ` contextConductionInd="true" typeCode="PERT"><seperatableInd value="false"></seperatableInd>`,
		`<pertinent`, kind, ` classCode="OBS" moodCode="EVN"><code code="`, code, `" codeSystem="` + oidAnnotation + `"></code>`,
	} {
		n.markup(part)
	}
	value()
	for _, part := range [...]string{`</pertinent`, kind, `></pertinentInformation`, number, `>`} {
		n.markup(part)
	}
}

// instructions are XML as text: a document of their own, which is the content of an element (EPS-2.23).
func (n *notation) instructions(i *Instructions) {
	inner := &notation{reading: n.reading}
	var document string
	if !n.reading {
		inner.instructionParts(i)
		document = inner.out.String()
	}
	n.element("value", &document)
	if n.reading && n.err == nil {
		inner.rest = document
		inner.instructionParts(i)
		n.must(inner.end())
		if i.empty() {
			n.must(errEmpty)
		}
	}
}

func (n *notation) instructionParts(i *Instructions) {
	each(n, `<medication>`, &i.Medications, func(v *string) { n.elementIfAny("medication", v) })
	each(n, `<patientInfo>`, &i.PatientInfo, func(v *string) { n.elementIfAny("patientInfo", v) })
	n.tail(&i.Text)
}

// tail is a text that extends to the end of the document.
func (n *notation) tail(v *string) {
	n.rest += "<"
	n.content(v)
	n.rest = strings.TrimSuffix(n.rest, "<")
}

func isRepeats(text string) error {
	if number, ok := integer(jsontext.Value(text)); !ok || number < 1 || strconv.Itoa(number) != text {
		return fmt.Errorf("%.20q is not a number of repeats", text)
	}
	return nil
}

func isNumber(text string) error {
	if value := jsontext.Value(text); value.Kind() != '0' || !value.IsValid() || strings.TrimSpace(text) != text {
		return fmt.Errorf("%.20q is not a number", text)
	}
	return nil
}
