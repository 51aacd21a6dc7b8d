// Package descriptiontest holds descriptions to OpenAPI 3.1, and answers to descriptions: what a document does not have,
// be it a status, a header field, a media type or a member of a body, is an error. It is for tests alone.
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

// Document is a description, without room for what it does not describe: clients are told to take members that they do
// not know, and a test should find them.
type Document struct {
	doc    *openapi3.T
	router routers.Router
	whole  routers.Router // with what is passed on from elsewhere
}

// Load reads a description.
func Load(file string) (*Document, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return Parse(text)
}

// Parse is Load for a description that was read, or changed.
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
	for _, kind := range []string{"application/jwk-set+json", "application/fhir+json"} { // JSON, but the validator goes by names
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.JSONBodyDecoder)
	}
	openapi3filter.RegisterBodyDecoder("application/x-ndjson", openapi3filter.PlainBodyDecoder)
	doc.Servers = nil // what is judged is below any path
	router, err := gorillamux.NewRouter(doc)
	return doc, router, err
}

// Schema holds a value in JSON, such as a webhook's body, to a schema of the description.
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

// seal lets no object have members that are not described. What only narrows another schema says no type.
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

// passedOn marks what comes from somebody else, whom a gateway passes on: a response, a media type or a schema.
const passedOn = "x-passed-on"

// own is a description without what is passed on.
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
