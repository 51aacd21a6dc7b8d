package prescription

import "strings"

// The uses of names, addresses and telecoms in FHIR, and their codes in HL7 v3 (EPS-2.27 to EPS-2.29).
var (
	nameUses = map[string]string{
		"usual": "L", "official": "L", "temp": "A", "anonymous": "A", "nickname": "PREFERRED", "old": "PREVIOUS", "maiden": "PREVIOUS-MAIDEN",
	}
	addressUses = map[string]string{"home": "H", "work": "WP", "temp": "TMP", "billing": "PST"}
	telecomUses = map[string]string{"home": "HP", "work": "WP", "temp": "HV", "mobile": "MC"}
)

// use translates the use of a name, an address or a telecom. An absent use stays absent.
func (t *translation) use(uses map[string]string, use, of, path string) string {
	if use == "" {
		return ""
	}
	translated, known := uses[use]
	if !known {
		t.refuse(invalid(path+".use", "Unhandled %s use '%s'.", of, use))
	}
	return translated
}

func (t *translation) name(n humanName, path string) Name {
	translated := Name{
		Use:    t.use(nameUses, n.Use, "name", path),
		Prefix: t.texts(n.Prefix, path+".prefix"),
		Given:  t.texts(n.Given, path+".given"),
		Family: t.text(n.Family, path+".family"),
		Suffix: t.texts(n.Suffix, path+".suffix"),
	}
	if !translated.hasParts() {
		translated.Text = t.text(n.Text, path+".text")
	}
	return translated
}

func (n *Name) hasParts() bool {
	return len(n.Prefix) > 0 || len(n.Given) > 0 || n.Family != "" || len(n.Suffix) > 0
}

func (t *translation) address(a address, path string) Address {
	translated := Address{Use: t.use(addressUses, a.Use, "address", path)}
	for _, line := range append(append([]string{}, a.Line...), a.City, a.District, a.State) {
		if line != "" {
			translated.Lines = append(translated.Lines, t.text(line, path))
		}
	}
	translated.PostalCode = t.text(a.PostalCode, path+".postalCode")
	return translated
}

func (t *translation) telecoms(points []contactPoint, path string) []Telecom {
	var translated []Telecom
	for _, p := range points {
		translated = append(translated, t.telecom(p, path))
	}
	return translated
}

func (t *translation) telecom(p contactPoint, path string) Telecom {
	translated := Telecom{Use: t.use(telecomUses, p.Use, "telecom", path)}
	if p.Value != "" {
		translated.Value = t.attribute(telephone(p.Value), path+".value")
	}
	return translated
}

const telScheme = "tel:"

// telephone returns the value of a telecom as it is signed, whatever its system.
func telephone(value string) string {
	value = strings.Map(func(r rune) rune {
		if isSpace(r) {
			return -1
		}
		return r
	}, value)
	if strings.HasPrefix(value, telScheme) {
		return value
	}
	return telScheme + value
}
