package openapi_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
)

const file = "openapi.json"

func TestDescriptionIsOpenAPI(t *testing.T) { descriptiontest.Lint(t, file) }

// TestDescriptionListsEveryEndpoint holds the description to the router of the service: the same paths with the same
// methods, and no other.
func TestDescriptionListsEveryEndpoint(t *testing.T) {
	routed := endpoints(t, "../service.go")
	described := descriptiontest.Endpoints(descriptiontest.Lint(t, file))
	if !maps.Equal(routed, described) {
		t.Errorf("the service takes\n\t%v\nand the description has\n\t%v", routed, described)
	}
}

// endpoints reads the router's source, func (*Service) endpoint: for each string in a case of its switches the methods
// that are returned there.
func endpoints(t *testing.T, file string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, declared := range parsed.Decls {
		function, is := declared.(*ast.FuncDecl)
		if !is || function.Name.Name != "endpoint" {
			continue
		}
		ast.Inspect(function, func(node ast.Node) bool {
			clause, is := node.(*ast.CaseClause)
			if !is {
				return true
			}
			for _, expression := range clause.List {
				for _, path := range texts(t, expression) {
					found[path] = texts(t, clause.Body[0])[0]
				}
			}
			return false
		})
	}
	if len(found) < 10 {
		t.Fatalf("the router is written in another way than this test reads: %v", found)
	}
	return found
}

// TestDescriptionHasEveryCode looks in the service's source for the codes of its errors: each stands in the
// description, as an example of its status.
func TestDescriptionHasEveryCode(t *testing.T) {
	described := map[string]bool{}
	doc := descriptiontest.Lint(t, file)
	for _, item := range doc.Paths.Map() {
		for _, operation := range item.Operations() {
			for status, response := range operation.Responses.Map() {
				for code := range examplesOf(response.Value) {
					described[status+" "+code] = true
				}
			}
		}
	}
	statuses := map[string]int{
		"BadRequest": 400, "Unauthorized": 401, "Forbidden": 403, "NotFound": 404, "MethodNotAllowed": 405, "RequestTimeout": 408,
		"Conflict": 409, "RequestEntityTooLarge": 413, "UnsupportedMediaType": 415, "TooManyRequests": 429, "InternalServerError": 500, "ServiceUnavailable": 503,
	}
	made := regexp.MustCompile(`(?:failure\(http\.Status(\w+), |bad(?:Request|Claims)\()"([a-z_]+)"`)
	files, err := filepath.Glob("../*.go")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files of the service (%v)", len(files), err)
	}
	seen := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, found := range made.FindAllStringSubmatch(string(text), -1) {
			seen++
			status := http.StatusBadRequest
			if found[1] != "" {
				status = statuses[found[1]]
			}
			if want := fmt.Sprint(status, " ", found[2]); !described[want] {
				t.Errorf("%s answers %s (%s), which the description does not have", file, want, found[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("only %d errors found: they are written in another way than this test reads", seen)
	}
}

func examplesOf(response *openapi3.Response) openapi3.Examples {
	if content := response.Content["application/json"]; content != nil {
		return content.Examples
	}
	return nil
}

// texts are the string literals in a piece of source.
func texts(t *testing.T, of ast.Node) []string {
	t.Helper()
	var found []string
	ast.Inspect(of, func(node ast.Node) bool {
		if literal, is := node.(*ast.BasicLit); is && literal.Kind == token.STRING {
			text, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, text)
		}
		return true
	})
	return found
}
