package prescription

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// agreement holds the fields in which all requests of a prescription must agree (EPS-1.20), in the JSON of the bundle.
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

// agreed lists the fields of an agreement in the order of the checks.
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

// checkSame returns an issue for each field in which requests differ.
func checkSame(requests []*medicationRequest) []Issue {
	if len(requests) < 2 {
		return nil
	}
	all := make([]agreement, len(requests))
	for i, request := range requests {
		if err := json.Unmarshal(request.source, &all[i], sound); err != nil {
			return []Issue{Unreadable(err)} // cannot happen after ReadBundle
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
			// Objects with the same members in another order are equal; 28 and 28.0 are not.
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

// formatted returns a value in compact JSON with only the necessary escapes.
func formatted(value jsontext.Value, options ...jsontext.Options) string {
	value = value.Clone()
	_ = value.Format(options...) // the value is sound
	return string(value)
}

// withURL returns the extension with a URL, or a list if there are several.
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
