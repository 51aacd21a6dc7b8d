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
	text, err := json.Marshal(parsed)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	for _, kind := range []string{"application/jwk-set+json", "application/fhir+json"} { // JSON, but the validator goes by names
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.JSONBodyDecoder)
	}
	doc.Servers = nil // what is judged is below any path
	router, err := gorillamux.NewRouter(doc)
	return &Document{doc, router}, err
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
