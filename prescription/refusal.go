package prescription

import "fmt"

// Codes of a Refusal.
const (
	InvalidValue = "INVALID_VALUE"
	TooFew       = "TOO_FEW_VALUES_SUBMITTED"
	TooMany      = "TOO_MANY_VALUES_SUBMITTED"
)

// Refusal is the reason why a bundle cannot be translated.
type Refusal struct {
	Code string // InvalidValue, TooFew or TooMany
	Text string
	Path string // of FHIR, such as Patient.identifier
}

func (r *Refusal) Error() string { return r.Code + " at " + r.Path + ": " + r.Text }

func invalid(path, format string, args ...any) *Refusal {
	return &Refusal{Code: InvalidValue, Text: fmt.Sprintf(format, args...), Path: path}
}

// where is the condition on the elements that are counted, as the texts of EPS-1.30 spell it. Empty means all elements.
type where string

func bySystem(system string) where { return where(" where system == '" + system + "'") }
func byURL(url string) where       { return where(" where url == '" + url + "'") }
func byFullURL(url string) where   { return where(" where fullUrl == '" + orUndefined(url) + "'") }
func byResource(kind string) where { return where(" where resource.resourceType == '" + kind + "'") }
func (w where) tooFew(path string) *Refusal {
	return &Refusal{Code: TooFew, Text: "Too few values submitted. Expected 1 element" + string(w) + ".", Path: path}
}

func (w where) tooMany(path, most string) *Refusal {
	return &Refusal{Code: TooMany, Text: "Too many values submitted. Expected " + most + " element" + string(w) + ".", Path: path}
}

// orUndefined returns how EPS writes an absent value.
func orUndefined(value string) string {
	if value == "" {
		return "undefined"
	}
	return value
}
