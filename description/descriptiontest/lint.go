package descriptiontest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Lint holds a description to OpenAPI 3.1 and its examples to its own schemas, and returns it as it is written.
func Lint(t *testing.T, file string) *openapi3.T {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	// The library does not know that OpenAPI 3.1 has reusable path items.
	if err := doc.Validate(t.Context(), openapi3.AllowExtraSiblingFields("pathItems")); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("it is OpenAPI %s", doc.OpenAPI)
	}
	if _, err := Parse(text); err != nil {
		t.Error(err)
	}
	return doc
}

// Endpoints are the paths of a description with their methods, such as "GET, HEAD". A parameter and what follows it is
// left out of the path.
func Endpoints(doc *openapi3.T) map[string]string {
	described := map[string]string{}
	for path, item := range doc.Paths.Map() {
		prefix, _, _ := strings.Cut(path, "{")
		described[prefix] = strings.Join(slices.Sorted(maps.Keys(item.Operations())), ", ")
	}
	return described
}
