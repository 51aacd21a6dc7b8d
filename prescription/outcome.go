package prescription

import (
	"net/http"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	severityFatal = "fatal"
	severityError = "error"

	codeForbidden = "forbidden"
	codeInvalid   = "invalid"
	codeStructure = "structure"
	codeValue     = "value"

	systemSpine = "https://fhir.nhs.uk/R4/CodeSystem/Spine-ErrorOrWarningCode"
)

// Issue is one thing that is wrong with a request, in the words of the Electronic Prescription Service.
type Issue struct {
	Severity    string   `json:"severity"`
	Code        string   `json:"code"`
	Details     *Details `json:"details,omitempty"`
	Diagnostics string   `json:"diagnostics,omitempty"`
	Expression  []string `json:"expression,omitempty"`
}

// Details are what an Issue says in codes.
type Details struct {
	Coding []DetailCoding `json:"coding"`
}

// DetailCoding is one code of Details.
type DetailCoding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

// Text is what an issue says to a person.
func (i Issue) Text() string {
	if i.Diagnostics == "" && i.Details != nil {
		return i.Details.Coding[0].Display
	}
	return i.Diagnostics
}

// Outcome is the answer to a request that is refused: a FHIR OperationOutcome with at least one issue.
type Outcome struct {
	Issues []Issue
}

// Status is the answer's status of HTTP.
func (o Outcome) Status() int {
	for _, issue := range o.Issues {
		if issue.Code != codeForbidden {
			return http.StatusBadRequest
		}
	}
	return http.StatusForbidden
}

// MarshalJSON writes the resource.
func (o Outcome) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		Type   string  `json:"resourceType"`
		Issues []Issue `json:"issue"`
	}{"OperationOutcome", o.Issues})
}

// marshal writes JSON as EPS does, without escapes for HTML.
func marshal(value any) ([]byte, error) { return json.Marshal(value, jsontext.EscapeForHTML(false)) }

// Issue is what a refusal to translate is to whoever sent the bundle.
func (r *Refusal) Issue() Issue {
	issue := coded(Issue{Severity: severityFatal, Code: codeInvalid}, r.Code, r.Text)
	issue.Expression = []string{r.Path}
	return issue
}

// Unreadable is what a refusal of ReadBundle is to whoever sent the bundle.
func Unreadable(err error) Issue {
	return Issue{Severity: severityFatal, Code: codeStructure, Diagnostics: "The request cannot be read: " + err.Error() + "."}
}

// coded adds a code of Spine's.
func coded(issue Issue, code, display string) Issue {
	issue.Details = &Details{Coding: []DetailCoding{{System: systemSpine, Code: code, Display: display}}}
	return issue
}

func invalidIssue(diagnostics string) Issue {
	return Issue{Severity: severityError, Code: codeInvalid, Diagnostics: diagnostics}
}

// requestIssue is about all MedicationRequests, or one of their fields.
func requestIssue(diagnostics, field string) Issue {
	return Issue{Severity: severityError, Code: codeValue, Diagnostics: diagnostics, Expression: []string{requestPath + field}}
}

const requestPath = "Bundle.entry.resource.ofType(MedicationRequest)."
