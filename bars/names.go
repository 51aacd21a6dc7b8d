package bars

import (
	"fmt"
	"strconv"
	"strings"
)

// Environment is one of the two environments in which systems are connected (BAR-3.3).
type Environment string

// The environments.
const (
	Integration Environment = "int"
	Production  Environment = "prod"
)

// Other returns the other environment.
func (e Environment) Other() Environment {
	if e == Production {
		return Integration
	}
	return Production
}

// EnvironmentOf returns the environment a host name claims, even if the name breaks other rules. It returns "" if the
// name does not begin with BaRS-INT- or BaRS-PROD-.
func EnvironmentOf(host string) Environment {
	for _, e := range []Environment{Integration, Production} {
		if strings.HasPrefix(strings.ToLower(host), "bars-"+string(e)+"-") {
			return e
		}
	}
	return ""
}

// FQDN is a parsed system name (BAR-3.9). All parts are in lower case.
type FQDN struct {
	Environment  Environment
	Organisation string // the organisation's ODS code, three to eight letters and digits
	Suffix       string // tells systems of one organisation apart; may be empty
	Owner        string // the supplier, or the provider's own domain under nhs.uk, which may have several labels
	ThirdParty   bool   // under thirdparty.nhs.uk: in development on INT, or hosted by a supplier on PROD
}

// ParseFQDN parses a system name and says which rule it breaks. Case is ignored. Names in use break the rules, so
// callers warn, and refuse only if configured to be strict.
func ParseFQDN(name string) (FQDN, error) {
	broken := func(format string, args ...any) (FQDN, error) { //nolint:unparam // a name that breaks a rule has no parts
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
	// The suffix may contain hyphens; the organisation's code may not.
	var suffixed bool
	parsed.Organisation, parsed.Suffix, suffixed = strings.Cut(first[len("bars--")+len(parsed.Environment):], "-")
	if n := len(parsed.Organisation); n < 3 || n > 8 || !only(parsed.Organisation, letterOrDigit) {
		return broken("has %q in place of an organisation code of three to eight letters and digits", parsed.Organisation)
	}
	if suffixed && !isLabel(parsed.Suffix) {
		return broken("has the suffix %q, which must begin and end with a letter or digit", parsed.Suffix)
	}
	parsed.Owner, parsed.ThirdParty = strings.CutSuffix(owner, ".thirdparty")
	switch {
	case owner == "" || owner == "thirdparty":
		return broken("names neither a supplier nor a provider's domain")
	case parsed.ThirdParty && !isLabel(parsed.Owner):
		return broken("has %q in place of a supplier name of letters, digits and hyphens", parsed.Owner)
	}
	for label := range strings.SplitSeq(parsed.Owner, ".") {
		if !isLabel(label) {
			return broken("has the part %q, which is not a valid host name label", label)
		}
	}
	return parsed, nil
}

// KID is a parsed key id (BAR-4.1).
type KID struct {
	Owner       string // supplier or provider
	Environment string // Sandbox, DEV, INT or PROD
	Rotation    int    // starts at 1 and grows with each new key
}

// ParseKID parses a key id of the form <Supplier or Provider>-<Environment>-<rotation>. Names in use break the rule,
// so callers warn and never refuse.
func ParseKID(kid string) (KID, error) {
	broken := func(why string) (KID, error) {
		return KID{}, fmt.Errorf("the kid %.133s %s; NHS England asks for <Supplier or Provider>-<Sandbox|DEV|INT|PROD>-<number>, such as MySupplier-INT-1", kid, why)
	}
	rest, number, ok := cutLast(kid, "-")
	owner, environment, also := cutLast(rest, "-")
	if !ok || !also {
		return broken("has fewer than three parts")
	}
	switch {
	case number == "" || number[0] == '0' || !only(number, func(c rune) bool { return c >= '0' && c <= '9' }):
		return broken("does not end with a number of 1 or more")
	case environment != "Sandbox" && environment != "DEV" && environment != "INT" && environment != "PROD":
		return broken("does not name its environment before the number")
	case !isLabel(strings.ToLower(owner)):
		return broken("has a name before the environment that is not 1 to 63 letters, digits and hyphens")
	}
	rotation, _ := strconv.Atoi(number) // digits only; one that overflows becomes the largest int
	return KID{Owner: owner, Environment: environment, Rotation: rotation}, nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(text, separator); i >= 0 {
		return text[:i], text[i+len(separator):], true
	}
	return text, "", false
}

// isLabel reports whether a lower-case text is a valid host name label.
func isLabel(text string) bool {
	n := len(text)
	return n >= 1 && n <= 63 && text[0] != '-' && text[n-1] != '-' &&
		only(text, func(c rune) bool { return c == '-' || letterOrDigit(c) })
}

func only(text string, allowed func(rune) bool) bool {
	return strings.IndexFunc(text, func(c rune) bool { return !allowed(c) }) < 0
}

func letterOrDigit(c rune) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' }
