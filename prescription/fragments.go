package prescription

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Object identifiers in the fragments.
const (
	oidRoleProfile      = "1.2.826.0.1285.0.2.0.67"
	oidJobRole          = "1.2.826.0.1285.0.2.1.104"
	oidProfessionalCode = "1.2.826.0.1285.0.2.1.54"
	oidODS              = "1.2.826.0.1285.0.1.10"
	oidOrganisationType = "2.16.840.1.113883.2.1.3.2.4.17.94"
	oidNHSNumber        = "2.16.840.1.113883.2.1.4.1"
	oidGender           = "2.16.840.1.113883.2.1.3.2.4.16.25"
	oidCareProvision    = "2.16.840.1.113883.2.1.3.2.4.17.37"
	oidSNOMED           = "2.16.840.1.113883.2.1.3.2.4.15"
	oidAnnotation       = "2.16.840.1.113883.2.1.3.2.4.17.30"
	oidEndorsement      = "2.16.840.1.113883.2.1.3.2.4.16.32"

	hl7 = ` xmlns="urn:hl7-org:v3"`

	timeFormat = "20060102150405"
)

// Fragments returns the bytes that are digested: canonical XML (Exclusive XML Canonicalization 1.0, without comments).
func (p *Prescription) Fragments() []byte {
	n := &notation{}
	n.out.Grow(4096 + 2048*len(p.Items))
	n.prescription(p)
	return []byte(n.out.String())
}

// ErrFragments is wrapped by every error of ReadFragments.
var ErrFragments = errors.New("not the fragments of a prescription")

// ReadFragments parses the output of Fragments. It accepts only fragments that the translation can have made, so Fragments
// of the result returns the same bytes.
func ReadFragments(fragments []byte) (*Prescription, error) {
	if len(fragments) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrFragments, len(fragments), MaxBytes)
	}
	n := &notation{reading: true, rest: string(fragments)}
	p := &Prescription{}
	n.prescription(p)
	if err := n.end(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFragments, err)
	}
	if string(p.Fragments()) != string(fragments) { // a safeguard: nothing above may lose anything
		return nil, fmt.Errorf("%w: encoding them again gives other bytes", ErrFragments)
	}
	return p, nil
}

func (n *notation) prescription(p *Prescription) {
	n.markup(`<FragmentsToBeHashed><Fragment><time` + hl7)
	n.time(&p.Signed)
	n.markup(`></time><id` + hl7)
	n.rootID(&p.ID)
	n.markup(`></id></Fragment><Fragment>`)
	n.author(&p.Author)
	n.markup(`</Fragment><Fragment>`)
	n.patient(&p.Patient)
	n.markup(`</Fragment>`)
	each(n, `<Fragment>`, &p.Items, n.item)
	n.markup(`</FragmentsToBeHashed>`)
	if len(p.Items) == 0 {
		n.must(errors.New("no items"))
	}
}

func (n *notation) time(at *time.Time) {
	text := at.Format(timeFormat)
	n.attribute("value", &text, func(text string) error {
		var err error
		*at, err = time.Parse(timeFormat, text)
		return err
	})
}

func (n *notation) rootID(id *string) {
	n.attribute("root", id, notEmpty, func(id string) error {
		if upperUUID(id) != id {
			return errors.New("UUID is not in upper case")
		}
		return nil
	})
}

// id is an identifier whose kind is given by an object identifier.
func (n *notation) id(extension *string, root string) {
	n.markup(`<id`)
	n.attribute("extension", extension, notEmpty)
	n.markup(` root="` + root + `"></id>`)
}

func (n *notation) code(code *string, system string) {
	n.markup(`<code`)
	n.attribute("code", code, notEmpty)
	n.markup(` codeSystem="` + system + `"></code>`)
}

func (n *notation) author(a *Author) {
	n.markup(`<AgentPerson` + hl7 + ` classCode="AGNT">`)
	if n.when(a.RoleProfile != "", `<id`) {
		n.id(&a.RoleProfile, oidRoleProfile)
	}
	n.code(&a.JobRole, oidJobRole)
	each(n, `<telecom`, &a.Telecoms, n.telecom)
	if len(a.Telecoms) == 0 {
		n.must(errors.New("author has no telecom"))
	}
	n.markup(`<agentPerson classCode="PSN" determinerCode="INSTANCE">`)
	n.id(&a.ProfessionalCode, oidProfessionalCode)
	if n.when(a.Name != nil, `<name`) {
		if n.reading {
			a.Name = &Name{}
		}
		n.name(a.Name)
	}
	n.markup(`</agentPerson><representedOrganization classCode="ORG" determinerCode="INSTANCE">`)
	n.organisation(&a.Organisation)
	n.markup(`</representedOrganization></AgentPerson>`)
}

func (n *notation) organisation(o *Organisation) {
	n.id(&o.ODS, oidODS)
	n.markup(`<code code="999" codeSystem="` + oidOrganisationType + `"></code>`)
	n.element("name", &o.Name)
	n.must(notEmpty(o.Name))
	n.telecom(&o.Telecom)
	n.addr(&o.Address)
	n.markup(`<healthCareProviderLicense classCode="PROV"><Organization classCode="ORG" determinerCode="INSTANCE">`)
	n.id(&o.Parent.ODS, oidODS)
	n.markup(`<code code="999" codeSystem="` + oidOrganisationType + `"></code>`)
	n.elementIfAny("name", &o.Parent.Name)
	n.markup(`</Organization></healthCareProviderLicense>`)
}

func (n *notation) patient(p *Patient) {
	n.markup(`<recordTarget` + hl7 + ` typeCode="RCT"><Patient classCode="PAT">`)
	n.id(&p.NHSNumber, oidNHSNumber)
	each(n, `<addr`, &p.Addresses, n.addr)
	each(n, `<telecom`, &p.Telecoms, n.telecom)
	n.markup(`<patientPerson classCode="PSN" determinerCode="INSTANCE">`)
	each(n, `<name`, &p.Names, n.name)
	n.markup(`<administrativeGenderCode`)
	n.attribute("code", &p.Gender, oneOf(genders))
	n.markup(` codeSystem="` + oidGender + `"></administrativeGenderCode><birthTime`)
	n.attribute("value", &p.Born, func(born string) error {
		_, err := time.Parse(birthFormat, born)
		return err
	})
	n.markup(`></birthTime><playedProviderPatient classCode="PAT"><subjectOf typeCode="SBJ">` +
		`<patientCareProvision classCode="PCPR" moodCode="EVN"><code code="1" codeSystem="` + oidCareProvision + `"></code>` +
		`<responsibleParty typeCode="RESP"><healthCareProvider classCode="PROV">`)
	n.id(&p.Practice, oidODS)
	n.markup(`</healthCareProvider></responsibleParty></patientCareProvision></subjectOf></playedProviderPatient>` +
		`</patientPerson></Patient></recordTarget>`)
}

func (n *notation) name(v *Name) {
	n.markup(`<name`)
	n.optional("use", &v.Use, oneOf(nameUses))
	n.markup(`>`)
	n.nameParts("prefix", &v.Prefix)
	n.nameParts("given", &v.Given)
	n.elementIfAny("family", &v.Family)
	n.nameParts("suffix", &v.Suffix)
	if !v.hasParts() {
		n.content(&v.Text)
	}
	n.markup(`</name>`)
}

func (n *notation) nameParts(name string, parts *[]string) {
	each(n, "<"+name+">", parts, func(part *string) { n.element(name, part) })
}

func (n *notation) addr(v *Address) {
	n.markup(`<addr`)
	n.optional("use", &v.Use, oneOf(addressUses))
	n.markup(`>`)
	each(n, `<streetAddressLine>`, &v.Lines, func(line *string) { n.elementIfAny("streetAddressLine", line) })
	n.elementIfAny("postalCode", &v.PostalCode)
	n.markup(`</addr>`)
}

func (n *notation) telecom(v *Telecom) {
	n.markup(`<telecom`)
	n.optional("use", &v.Use, oneOf(telecomUses))
	n.optional("value", &v.Value, isTelephone)
	n.markup(`></telecom>`)
}

// isTelephone checks for a result of telephone. A space is possible: it was a U+0085.
func isTelephone(value string) error {
	if !strings.HasPrefix(value, telScheme) || strings.ContainsFunc(value, func(r rune) bool { return r != ' ' && isSpace(r) }) {
		return errors.New("not a telecom value")
	}
	return nil
}
