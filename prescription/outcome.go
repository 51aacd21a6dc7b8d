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

// Issue is one fault of a request, in the words of the Electronic Prescription Service.
type Issue struct {
	Severity    string   `json:"severity"`
	Code        string   `json:"code"`
	Details     *Details `json:"details,omitempty"`
	Diagnostics string   `json:"diagnostics,omitempty"`
	Expression  []string `json:"expression,omitempty"`
}

// Details are the coded part of an Issue.
type Details struct {
	Coding []DetailCoding `json:"coding"`
}

// DetailCoding is one code of Details.
type DetailCoding struct {
	System  string `json:"system,omitempty"`
	Code    string `json:"code"`
	Display string `json:"display"`
}

// Text returns the diagnostics, or the display of the code if there are none.
func (i Issue) Text() string {
	if i.Diagnostics == "" && i.Details != nil {
		return i.Details.Coding[0].Display
	}
	return i.Diagnostics
}

// Outcome is the FHIR OperationOutcome that answers a refused request. It has at least one issue.
type Outcome struct {
	Issues []Issue
}

// Status returns the HTTP status of the answer (EPS-1.7).
func (o Outcome) Status() int {
	for _, issue := range o.Issues {
		if issue.Code != codeForbidden {
			return http.StatusBadRequest
		}
	}
	return http.StatusForbidden
}

// MarshalJSON returns the FHIR resource.
func (o Outcome) MarshalJSON() ([]byte, error) {
	return marshal(struct {
		Type   string  `json:"resourceType"`
		Issues []Issue `json:"issue"`
	}{"OperationOutcome", o.Issues})
}

// marshal returns JSON without escapes for HTML, as EPS writes it.
func marshal(value any) ([]byte, error) { return json.Marshal(value, jsontext.EscapeForHTML(false)) }

// Issue returns the refusal in the form of EPS-1.29.
func (r *Refusal) Issue() Issue {
	issue := coded(Issue{Severity: severityFatal, Code: codeInvalid}, r.Code, r.Text)
	issue.Expression = []string{r.Path}
	return issue
}

// Unreadable returns the issue for an error of ReadBundle.
func Unreadable(err error) Issue {
	return Issue{Severity: severityFatal, Code: codeStructure, Diagnostics: "The request cannot be read: " + err.Error() + "."}
}

// coded adds a Spine code to an issue.
func coded(issue Issue, code, display string) Issue {
	issue.Details = &Details{Coding: []DetailCoding{{System: systemSpine, Code: code, Display: display}}}
	return issue
}

func invalidIssue(diagnostics string) Issue {
	return Issue{Severity: severityError, Code: codeInvalid, Diagnostics: diagnostics}
}

// requestIssue returns an issue about a field of the MedicationRequests.
func requestIssue(diagnostics, field string) Issue {
	return Issue{Severity: severityError, Code: codeValue, Diagnostics: diagnostics, Expression: []string{requestPath + field}}
}

const requestPath = "Bundle.entry.resource.ofType(MedicationRequest)."
