package prescription

import (
	"regexp"
	"slices"
	"strings"
)

// Access is what the scopes of an access token allow.
type Access int

// The answers of AccessOf.
const (
	Denied         Access = iota
	DeniedToApps          // prescribing is for people, and this token is an application's own
	MayPrescribe          // a person has signed in for prescribing
	appPrescribing = "urn:nhsd:apim:app:level3:electronic-prescription-service-api:prescribing"
)

// personPrescribing is any scope of a signed-in person for prescribing; they differ in how the person signed in.
var personPrescribing = regexp.MustCompile(`^urn:nhsd:apim:[^:]+:aal3:(electronic-prescription-service-api:prescribing|fhir-prescribing)$`)

// AccessOf reads a token's scope, words apart by spaces.
func AccessOf(scope string) Access {
	scopes := strings.Fields(scope)
	switch {
	case slices.ContainsFunc(scopes, personPrescribing.MatchString):
		return MayPrescribe
	case slices.Contains(scopes, appPrescribing):
		return DeniedToApps
	}
	return Denied
}

func (a Access) issue() *Issue {
	issue := &Issue{Severity: severityFatal, Code: codeForbidden}
	switch a {
	case MayPrescribe:
		return nil
	case DeniedToApps:
		issue.Diagnostics = "Prescribing functionality can only be accessed using the user-restricted access mode."
	default:
		issue.Diagnostics = "Your app does not have permission to access prescribing functionality."
	}
	return issue
}
