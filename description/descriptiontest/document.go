// Package descriptiontest checks descriptions against OpenAPI 3.1, and answers against descriptions: a status, a header
// field, a media type or a member of a body that the document does not have is an error. It is for tests only.
package descriptiontest

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Document is a description that admits nothing it does not describe. Clients are told to accept unknown members, but a
// test should find them.
type Document struct {
	doc    *openapi3.T
	router routers.Router
	whole  routers.Router // including what is passed on from elsewhere
}

// Load reads a description.
func Load(file string) (*Document, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// Parse is Load for a description that was read or changed in memory.
func Parse(text []byte) (*Document, error) {
	var parsed any
	if err := json.Unmarshal(text, &parsed); err != nil {
		return nil, err
	}
	seal(parsed)
	_, whole, err := routed(parsed)
	if err != nil {
		return nil, err
	}
	doc, router, err := routed(own(parsed))
	return &Document{doc, router, whole}, err
}

func routed(parsed any) (*openapi3.T, routers.Router, error) {
	text, err := json.Marshal(parsed)
	if err != nil {
		return nil, nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, nil, err
	}
	for _, kind := range []string{"application/jwk-set+json", "application/fhir+json"} { // JSON too, but the validator goes by the name
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.JSONBodyDecoder)
	}
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.PlainBodyDecoder)
	doc.Servers = nil // paths are checked without a base path
	router, err := gorillamux.NewRouter(doc)
	return doc, router, err
}

// Schema checks a JSON value, such as the body of a webhook, against a schema of the description.
func (d *Document) Schema(name string, value []byte) error {
	found := d.doc.Components.Schemas[name]
	if found == nil {
		return fmt.Errorf("the description has no schema %s", name)
	}
	var parsed any
	if err := json.Unmarshal(value, &parsed); err != nil {
		return err
	}
	return found.Value.VisitJSON(parsed, openapi3.EnableJSONSchema2020())
}

// seal forbids objects to have undescribed members. A schema that only narrows another gives no type.
func seal(part any) {
	switch part := part.(type) {
	case map[string]any:
		object := part["type"] == "object" && part["properties"] != nil
		_, decided := part["additionalProperties"]
		_, refers := part["$ref"]
		if object && !decided && !refers {
			part["additionalProperties"] = false
		}
		for _, inner := range part {
			seal(inner)
		}
	case []any:
		for _, inner := range part {
			seal(inner)
		}
	}
}

// passedOn marks what the gateway passes on from another service: a response, a media type or a schema.
const passedOn = "x-passed-on"

// own returns a description without what is passed on.
func own(part any) any {
	switch part := part.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, inner := range part {
			if !isPassedOn(inner) {
				kept[name] = own(inner)
			}
		}
		return kept
	case []any:
		kept := []any{}
		for _, inner := range part {
			if !isPassedOn(inner) {
				kept = append(kept, own(inner))
			}
		}
		return kept
	}
	return part
}

func isPassedOn(part any) bool {
	object, _ := part.(map[string]any)
	return object[passedOn] == true
}
