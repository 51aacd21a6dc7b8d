package prescription

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The requests of one prescription have to agree in some fields. Those are compared as they stand in the bundle, so
// nothing of them is lost on the way.

// agreed are the fields, in the order in which they are looked at.
var agreed = []string{
	"groupIdentifier", "category", "authoredOn", "subject", "requester",
	"dispenseRequest.performer", "dispenseRequest.validityPeriod", "dispenseRequest.expectedSupplyDuration",
	"dispenseRequest." + byExtension(extSiteType), byExtension(extPrescriptionType), byExtension(extResponsible),
}

func byExtension(url string) string { return `extension("` + url + `")` }

// checkSame lists the fields in which requests differ, with their values.
func checkSame(requests []*medicationRequest) []Issue {
	if len(requests) < 2 {
		return nil
	}
	var issues []Issue
	for _, field := range agreed {
		var values []string           // as they are shown
		distinct := map[string]bool{} // with the members of objects in order
		for _, request := range requests {
			shown, sorted := request.field(field)
			if !distinct[sorted] {
				distinct[sorted] = true
				values = append(values, shown)
			}
		}
		if len(values) > 1 {
			issues = append(issues, requestIssue("Expected all MedicationRequests to have the same value for "+field+
				". Received ["+strings.Join(values, ",")+"].", field))
		}
	}
	return issues
}

// field is a field's value in compact JSON, as it came and with its members sorted; null where it is absent.
func (r *medicationRequest) field(path string) (shown, sorted string) {
	value := r.source
	for path != "" && value != nil {
		if url, ok := strings.CutPrefix(path, `extension("`); ok {
			value = extensionValue(member(value, "extension"), strings.TrimSuffix(url, `")`))
			break
		}
		var name string
		name, path, _ = strings.Cut(path, ".")
		value = member(value, name)
	}
	if value == nil {
		value = jsontext.Value("null")
	}
	return formatted(value), formatted(value, jsontext.ReorderRawObjects(true))
}

func formatted(value jsontext.Value, options ...jsontext.Options) string {
	value = value.Clone()
	_ = value.Format(options...) // it is sound
	return string(value)
}

// member is an object's member, or nil.
func member(object jsontext.Value, name string) jsontext.Value {
	var members map[string]jsontext.Value
	if object.Kind() != '{' || json.Unmarshal(object, &members, sound) != nil {
		return nil
	}
	return members[name]
}

// extensionValue is the extension of a URL, or a list where it is there more than once.
func extensionValue(extensions jsontext.Value, url string) jsontext.Value {
	var values []jsontext.Value
	if extensions.Kind() != '[' || json.Unmarshal(extensions, &values, sound) != nil {
		return nil
	}
	var found []string
	for _, value := range values {
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
