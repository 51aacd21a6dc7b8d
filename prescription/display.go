package prescription

import (
	"strings"
	"time"
)

// These methods format signed values for people. Displays show the signed texts themselves as well.

// Heading returns the patient's name in the form of the NHS common user interface: ASHDOWN, Marged (Mrs). It uses the
// usual or official name, or else the first one, and leaves out further given names.
func (p *Patient) Heading() string {
	name := p.nameInUse()
	if name == nil {
		return ""
	}
	if !name.hasParts() {
		return name.Text
	}
	heading := strings.ToUpper(name.Family)
	if len(name.Given) > 0 && name.Given[0] != "" {
		if heading != "" {
			heading += ", "
		}
		heading += name.Given[0]
	}
	if title := strings.Join(name.Prefix, " "); title != "" {
		heading += " (" + title + ")"
	}
	return strings.TrimSpace(heading)
}

func (p *Patient) nameInUse() *Name {
	for i := range p.Names {
		if p.Names[i].Use == nameUses["usual"] {
			return &p.Names[i]
		}
	}
	if len(p.Names) > 0 {
		return &p.Names[0]
	}
	return nil
}

// String returns all parts of a name in their order, separated by spaces.
func (n *Name) String() string {
	if !n.hasParts() {
		return n.Text
	}
	var parts []string
	parts = append(append(parts, n.Prefix...), n.Given...)
	if n.Family != "" {
		parts = append(parts, n.Family)
	}
	return strings.Join(append(parts, n.Suffix...), " ")
}

// BornText returns the date of birth as 09-Mar-1957.
func (p *Patient) BornText() string {
	born, err := time.Parse(birthFormat, p.Born)
	if err != nil {
		return p.Born
	}
	return born.Format("02-Jan-2006")
}

// NHSNumberText returns the NHS number in groups, as 999 000 0018. Anything but ten digits stays as it is.
func (p *Patient) NHSNumberText() string {
	if n := p.NHSNumber; len(n) == 10 && strings.Trim(n, "0123456789") == "" {
		return n[:3] + " " + n[3:6] + " " + n[6:]
	}
	return p.NHSNumber
}

// GenderText returns the gender as a word.
func (p *Patient) GenderText() string {
	for word, code := range genders {
		if code == p.Gender {
			return strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return p.Gender
}

// QuantityInWords returns the quantity in words if the instructions begin with one, as those of controlled drugs do.
func (i *Instructions) QuantityInWords() (words string, there bool) {
	line, _, _ := strings.Cut(i.Text, "\n")
	return strings.CutPrefix(line, inWords)
}
