package prescription

import "strings"

func (t *translation) author(requester reference) Author {
	role := resolve[practitionerRole](t, &requester)
	if t.refusal != nil {
		return Author{}
	}
	who := t.practitioner(role)
	if t.refusal != nil {
		return Author{}
	}
	var author Author
	if len(role.Identifier) > 0 {
		author.RoleProfile = t.identifierIn(role.Identifier, systemRoleProfile, "PractitionerRole.identifier")
	}
	author.JobRole = t.jobRole(role.Code)
	author.Telecoms = t.authorTelecoms(role, who)
	author.ProfessionalCode = t.professionalCode(who.Identifier)
	if len(who.Name) > 0 {
		name := t.name(*only(t, all(who.Name), "Practitioner.name", ""), "Practitioner.name")
		author.Name = &name
	}
	author.Organisation = t.organisation(role)
	return author
}

// practitioner returns the practitioner of a role: the referenced resource, or one made of the role's identifier and
// display.
func (t *translation) practitioner(role *practitionerRole) *practitioner {
	named := role.Practitioner
	if named == nil || named.Reference != "" || named.Identifier == nil {
		return resolve[practitioner](t, named)
	}
	who := &practitioner{Identifier: []identifier{*named.Identifier}}
	if named.Display != "" {
		who.Name = []humanName{{Text: named.Display}}
	}
	return who
}

func (t *translation) jobRole(concepts []codeableConcept) string {
	const path = "PractitionerRole.code.coding"
	one := atMostOne(t, codingsOf(concepts, systemJobRoleCode), path, bySystem(systemJobRoleCode))
	if one == nil {
		one = only(t, codingsOf(concepts, systemJobRoleName), path, bySystem(systemJobRoleName))
	}
	return t.required(one.Code, path+".code")
}

// authorTelecoms returns the role's telecoms, or else the practitioner's, or else the organization's if the practitioner
// is not a referenced resource (EPS-2.12).
func (t *translation) authorTelecoms(role *practitionerRole, who *practitioner) []Telecom {
	switch {
	case len(role.Telecom) > 0:
		return t.telecoms(role.Telecom, "PractitionerRole.telecom")
	case len(who.Telecom) > 0:
		return t.telecoms(who.Telecom, "Practitioner.telecom")
	case role.Practitioner.Reference == "":
		if home := lookupOne[organization](t.bundle, role.Organization); home != nil && len(home.Telecom) > 0 {
			return t.telecoms(home.Telecom, "Organization.telecom")
		}
	}
	t.refuse(&Refusal{Code: TooFew, Text: "ResponsiblePractitioner must have at least one telecom.", Path: "PractitionerRole.telecom"})
	return nil
}

// professionalSystems are the systems of professional codes below systemsUKCore, in the order of refusal texts.
var professionalSystems = [...]string{gmcNumber, gmpNumber, "nmc-number", "gphc-number", "hcpc-number", "professional-code"}

func (t *translation) professionalCode(identifiers []identifier) string {
	const path = "Practitioner.identifier"
	var codes []string
	for _, system := range professionalSystems {
		for _, i := range identifiers {
			if i.System != systemsUKCore+system || i.Value == "" {
				continue
			}
			code := i.Value
			if system == gmcNumber && (code[0] == 'C' || code[0] == 'c') {
				code = code[1:]
			}
			codes = append(codes, code)
		}
	}
	if len(codes) == 1 {
		return t.required(codes[0], path+".value")
	}
	refusal := &Refusal{Code: TooFew, Text: "Expected exactly one professional code. One of GMC|GMP|NMC|GPhC|HCPC|unknown. ", Path: path}
	if len(codes) > 0 {
		refusal.Code = TooMany
		refusal.Text += "But got: " + strings.Join(codes, ", ")
	}
	t.refuse(refusal)
	return ""
}

// organisation translates the role's first healthcare service if it has one, otherwise its organization (EPS-2.14).
func (t *translation) organisation(role *practitionerRole) Organisation {
	if role.Organization != nil && role.Organization.Reference == "" {
		t.refuse(where("").tooFew("Organization.address")) // EPS-1.35
		return Organisation{}
	}
	home := resolve[organization](t, role.Organization)
	if t.refusal != nil {
		return Organisation{}
	}
	var here Organisation
	if len(role.HealthcareService) > 0 {
		here = t.service(resolve[healthcareService](t, &role.HealthcareService[0]))
	} else {
		here = t.place("Organization", home.Identifier, home.Name, home.Telecom, all(home.Address), "Organization.address")
	}
	here.Parent = t.parent(home)
	return here
}

// service translates a healthcare service. Its address is that of its only location.
func (t *translation) service(s *healthcareService) Organisation {
	if t.refusal != nil {
		return Organisation{}
	}
	at := resolve[location](t, only(t, all(s.Location), "HealthcareService.location", ""))
	var addresses []*address
	if at.Address != nil {
		addresses = []*address{at.Address}
	}
	return t.place("HealthcareService", s.Identifier, s.Name, s.Telecom, addresses, "Location.address")
}

func (t *translation) place(kind string, identifiers []identifier, name string, telecoms []contactPoint, addresses []*address, addressPath string) Organisation {
	return Organisation{
		ODS:     t.identifierIn(identifiers, systemODS, kind+".identifier"),
		Name:    t.organisationName(name, kind),
		Telecom: t.telecom(*only(t, all(telecoms), kind+".telecom", ""), kind+".telecom"),
		Address: t.address(*only(t, addresses, addressPath, ""), addressPath),
	}
}

func (t *translation) organisationName(name, kind string) string {
	if name == "" {
		t.refuse(where("").tooFew(kind + ".name"))
	}
	return t.text(name, kind+".name")
}

// parent translates the organization that home is part of, or home itself (EPS-2.15).
func (t *translation) parent(home *organization) Parent {
	const path = "Organization.partOf"
	switch above := home.PartOf; {
	case above == nil:
	case above.Reference != "":
		home = resolve[organization](t, above)
		if t.refusal != nil {
			return Parent{}
		}
	case above.Identifier == nil:
		t.refuse(where("").tooFew(path + ".identifier"))
		return Parent{}
	default:
		return Parent{ODS: t.required(above.Identifier.Value, path+".identifier.value"), Name: t.text(above.Display, path+".display")}
	}
	return Parent{ODS: t.identifierIn(home.Identifier, systemODS, "Organization.identifier"), Name: t.organisationName(home.Name, "Organization")}
}
