package prescription

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// agreement is what the requests of one prescription must agree in (EPS-1.20), as it stands in the bundle.
type agreement struct {
	Group      jsontext.Value   `json:"groupIdentifier"`
	Category   jsontext.Value   `json:"category"`
	AuthoredOn jsontext.Value   `json:"authoredOn"`
	Subject    jsontext.Value   `json:"subject"`
	Requester  jsontext.Value   `json:"requester"`
	Extension  []jsontext.Value `json:"extension"`
	Dispense   struct {
		Performer      jsontext.Value   `json:"performer"`
		ValidityPeriod jsontext.Value   `json:"validityPeriod"`
		SupplyDuration jsontext.Value   `json:"expectedSupplyDuration"`
		Extension      []jsontext.Value `json:"extension"`
	} `json:"dispenseRequest"`
}

// agreed are the fields of an agreement in the order in which they are compared.
var agreed = []struct {
	name string
	of   func(*agreement) jsontext.Value
}{
	{"groupIdentifier", func(a *agreement) jsontext.Value { return a.Group }},
	{"category", func(a *agreement) jsontext.Value { return a.Category }},
	{"authoredOn", func(a *agreement) jsontext.Value { return a.AuthoredOn }},
	{"subject", func(a *agreement) jsontext.Value { return a.Subject }},
	{"requester", func(a *agreement) jsontext.Value { return a.Requester }},
	{"dispenseRequest.performer", func(a *agreement) jsontext.Value { return a.Dispense.Performer }},
	{"dispenseRequest.validityPeriod", func(a *agreement) jsontext.Value { return a.Dispense.ValidityPeriod }},
	{"dispenseRequest.expectedSupplyDuration", func(a *agreement) jsontext.Value { return a.Dispense.SupplyDuration }},
	{"dispenseRequest." + byExtension(extSiteType), func(a *agreement) jsontext.Value { return withURL(a.Dispense.Extension, extSiteType) }},
	{byExtension(extPrescriptionType), func(a *agreement) jsontext.Value { return withURL(a.Extension, extPrescriptionType) }},
	{byExtension(extResponsible), func(a *agreement) jsontext.Value { return withURL(a.Extension, extResponsible) }},
}

func byExtension(url string) string { return `extension("` + url + `")` }

// checkSame lists the fields in which requests differ, with the distinct values.
func checkSame(requests []*medicationRequest) []Issue {
	if len(requests) < 2 {
		return nil
	}
	all := make([]agreement, len(requests))
	for i, request := range requests {
		if err := json.Unmarshal(request.source, &all[i], sound); err != nil {
			return []Issue{Unreadable(err)} // not after ReadBundle
		}
	}
	var issues []Issue
	for _, field := range agreed {
		var values []string
		seen := map[string]bool{}
		for i := range all {
			value := field.of(&all[i])
			if value == nil {
				value = jsontext.Value("null")
			}
			// The order of an object's members makes no difference, and the spelling of a number does.
			if sorted := formatted(value, jsontext.ReorderRawObjects(true)); !seen[sorted] {
				seen[sorted] = true
				values = append(values, formatted(value))
			}
		}
		if len(values) > 1 {
			issues = append(issues, requestIssue("Expected all MedicationRequests to have the same value for "+field.name+
				". Received ["+strings.Join(values, ",")+"].", field.name))
		}
	}
	return issues
}

// formatted is a value in compact JSON, with only those escapes in strings that have to be there.
func formatted(value jsontext.Value, options ...jsontext.Options) string {
	value = value.Clone()
	_ = value.Format(options...) // the value is sound
	return string(value)
}

// withURL is the extension of a URL, or a list of them where there are several.
func withURL(extensions []jsontext.Value, url string) jsontext.Value {
	var found []string
	for _, value := range extensions {
		var e struct {
			URL string `json:"url"`
		}
		if json.Unmarshal(value, &e, sound) == nil && e.URL == url {
			found = append(found, string(value))
		}
	}
	switch len(found) {
	case 0:
		return nil
	case 1:
		return jsontext.Value(found[0])
	}
	return jsontext.Value("[" + strings.Join(found, ",") + "]")
}
