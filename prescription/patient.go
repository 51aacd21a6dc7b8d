package prescription

import "time"

// noPractice stands for the practice of a patient who has none.
const noPractice = "V81999"

var genders = map[string]string{"male": "1", "female": "2", "other": "9", "unknown": "0"}

func (t *translation) patient(p *patient) Patient {
	if t.refusal != nil {
		return Patient{}
	}
	translated := Patient{NHSNumber: t.identifierIn(p.Identifier, systemNHSNumber, "Patient.identifier")}
	for _, a := range p.Address {
		translated.Addresses = append(translated.Addresses, t.address(a, "Patient.address"))
	}
	translated.Telecoms = t.telecoms(p.Telecom, "Patient.telecom")
	for _, n := range p.Name {
		translated.Names = append(translated.Names, t.name(n, "Patient.name"))
	}
	var known bool
	if translated.Gender, known = genders[p.Gender]; !known {
		t.refuse(invalid("Patient.gender", "Unhandled gender '%s'.", orUndefined(p.Gender)))
	}
	if translated.Born = birthTime(p.BirthDate); translated.Born == "" {
		t.refuse(invalid("Patient.birthDate", "Incorrect format for date string '%s'.", orUndefined(p.BirthDate)))
	}
	translated.Practice = t.practice(p.GeneralPractitioner)
	return translated
}

// birthFormat is the form of a date in HL7 v3.
const birthFormat = "20060102"

// birthTime returns a date of birth in HL7 v3, or "" if it is invalid. A year or a month alone becomes its first day.
func birthTime(date string) string {
	for _, format := range []string{time.DateOnly, "2006-01", "2006"} {
		if born, err := time.Parse(format, date); err == nil {
			return born.Format(birthFormat)
		}
	}
	return ""
}

func (t *translation) practice(practitioners []reference) string {
	const path = "Patient.generalPractitioner"
	if len(practitioners) == 0 {
		return noPractice
	}
	one := only(t, all(practitioners), path, "")
	if one.Identifier == nil {
		t.refuse(invalid(path, "Expected an identifier instead of a reference."))
		return ""
	}
	return t.required(one.Identifier.Value, path+".identifier.value")
}
