package prescription

import (
	"regexp"
	"slices"
	"strings"
)

// Access is what an access token allows.
type Access int

// The results of AccessOf.
const (
	Denied         Access = iota
	DeniedToApps          // the token is an application's own, and only people may prescribe
	MayPrescribe          // a signed-in person with a prescribing scope
	appPrescribing = "urn:nhsd:apim:app:level3:electronic-prescription-service-api:prescribing"
)

// personPrescribing matches the prescribing scopes of a signed-in person. They differ in the way of signing in (EPS-1.15).
var personPrescribing = regexp.MustCompile(`^urn:nhsd:apim:[^:]+:aal3:(electronic-prescription-service-api:prescribing|fhir-prescribing)$`)

// AccessOf evaluates a token's space-separated scopes.
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
