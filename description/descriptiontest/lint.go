package descriptiontest

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Lint checks a description against OpenAPI 3.1 and its examples against its schemas, and returns it as written.
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
	// The library does not know the reusable path items of OpenAPI 3.1.
	if err := doc.Validate(t.Context(), openapi3.AllowExtraSiblingFields("pathItems")); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("got OpenAPI %s, want 3.1", doc.OpenAPI)
	}
	if _, err := Parse(text); err != nil {
		t.Error(err)
	}
	return doc
}

// Endpoints returns the paths of a description with their methods, such as "GET, HEAD". A path is cut before its first
// parameter.
func Endpoints(doc *openapi3.T) map[string]string {
	described := map[string]string{}
	for path, item := range doc.Paths.Map() {
		prefix, _, _ := strings.Cut(path, "{")
		described[prefix] = strings.Join(slices.Sorted(maps.Keys(item.Operations())), ", ")
	}
	return described
}
