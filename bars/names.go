package bars

import (
	"fmt"
	"strconv"
	"strings"
)

// Environment is one of the two in which systems are connected to each other (BAR-3.3).
type Environment string

// The environments.
const (
	Integration Environment = "int"
	Production  Environment = "prod"
)

// Other is the one that is not meant.
func (e Environment) Other() Environment {
	if e == Production {
		return Integration
	}
	return Production
}

// EnvironmentOf is the environment that a host's name claims, also where it breaks the rules otherwise: "" where
// it does not begin with BaRS-INT- or BaRS-PROD-.
func EnvironmentOf(host string) Environment {
	for _, e := range []Environment{Integration, Production} {
		if strings.HasPrefix(strings.ToLower(host), "bars-"+string(e)+"-") {
			return e
		}
	}
	return ""
}

// FQDN is the name of a system, taken apart (BAR-3.9). All parts are in lower case.
type FQDN struct {
	Environment  Environment
	Organisation string // its code (ODS), three to eight letters and digits
	Suffix       string // tells systems of one organisation apart; may be empty
	Owner        string // the supplier; or the provider's own domain below nhs.uk, which may have several labels
	ThirdParty   bool   // below thirdparty.nhs.uk: in development on INT, or hosted by a supplier on PROD
}

// ParseFQDN reads the name of a system and says which rule it breaks. Names are compared without regard to case.
// Working names break the rules: callers warn, and refuse only where they are told to be strict.
func ParseFQDN(name string) (FQDN, error) {
	broken := func(format string, args ...any) (FQDN, error) { //nolint:unparam // what a rule is broken by has no parts
		return FQDN{}, fmt.Errorf("the name %.253q %s; the rule is BaRS-<INT|PROD>-<organisation's code>[-<suffix>].<supplier>.thirdparty.nhs.uk, or …<provider's own domain>.nhs.uk",
			name, fmt.Sprintf(format, args...))
	}
	lower := strings.ToLower(name)
	domain, ok := strings.CutSuffix(lower, ".nhs.uk")
	if !ok || len(name) > 253 {
		return broken("is not an nhs.uk name")
	}
	first, owner, _ := strings.Cut(domain, ".")
	parsed := FQDN{Environment: EnvironmentOf(first)}
	if parsed.Environment == "" {
		return broken("does not begin with BaRS-INT- or BaRS-PROD-")
	}
	// The suffix has hyphens of its own; the organisation's code has none.
	var suffixed bool
	parsed.Organisation, parsed.Suffix, suffixed = strings.Cut(first[len("bars--")+len(parsed.Environment):], "-")
	if n := len(parsed.Organisation); n < 3 || n > 8 || !only(parsed.Organisation, letterOrDigit) {
		return broken("has %q where an organisation's code of three to eight letters and digits belongs", parsed.Organisation)
	}
	if suffixed && !isLabel(parsed.Suffix) {
		return broken("has the suffix %q, which has to begin and end with a letter or digit", parsed.Suffix)
	}
	parsed.Owner, parsed.ThirdParty = strings.CutSuffix(owner, ".thirdparty")
	switch {
	case owner == "" || owner == "thirdparty":
		return broken("names neither a supplier nor a provider's domain")
	case parsed.ThirdParty && !isLabel(parsed.Owner):
		return broken("has %q where the supplier's name belongs: one word of letters, digits and hyphens", parsed.Owner)
	}
	for label := range strings.SplitSeq(parsed.Owner, ".") {
		if !isLabel(label) {
			return broken("has the part %q, which is no part of a host's name", label)
		}
	}
	return parsed, nil
}

// KID is a key's name, taken apart (BAR-4.1).
type KID struct {
	Owner       string // supplier or provider
	Environment string // Sandbox, DEV, INT or PROD
	Rotation    int    // grows with each new key, from 1
}

// ParseKID reads a key's name by the rule <Supplier or Provider>-<Environment>-<rotation>. Working names break it:
// callers warn, and never refuse.
func ParseKID(kid string) (KID, error) {
	broken := func(why string) (KID, error) {
		return KID{}, fmt.Errorf("the kid %.133s %s; the form that NHS England asks for is <Supplier or Provider>-<Sandbox|DEV|INT|PROD>-<number>, such as MySupplier-INT-1", kid, why)
	}
	rest, number, ok := cutLast(kid, "-")
	owner, environment, also := cutLast(rest, "-")
	if !ok || !also {
		return broken("has fewer than three parts")
	}
	switch {
	case number == "" || number[0] == '0' || !only(number, func(c rune) bool { return c >= '0' && c <= '9' }):
		return broken("does not end with a number from 1")
	case environment != "Sandbox" && environment != "DEV" && environment != "INT" && environment != "PROD":
		return broken("does not name its environment before the number")
	case !isLabel(strings.ToLower(owner)):
		return broken("has a name before the environment that is not of letters, digits and hyphens, 63 at most")
	}
	rotation, _ := strconv.Atoi(number) // digits alone; one that is too large is the largest
	return KID{Owner: owner, Environment: environment, Rotation: rotation}, nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

// isLabel tells whether a text, in lower case, is one part of a host's name.
func isLabel(text string) bool {
	n := len(text)
	return n >= 1 && n <= 63 && text[0] != '-' && text[n-1] != '-' &&
		only(text, func(c rune) bool { return c == '-' || letterOrDigit(c) })
}

func only(text string, allowed func(rune) bool) bool {
	return strings.IndexFunc(text, func(c rune) bool { return !allowed(c) }) < 0
}

func letterOrDigit(c rune) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
