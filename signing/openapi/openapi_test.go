package openapi_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed-dd2befc3/countersign/signing/openapi"
)

func load(t *testing.T) *openapi3.T {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestDescriptionIsOpenAPI holds the description to OpenAPI 3.1, and its examples to its own schemas.
func TestDescriptionIsOpenAPI(t *testing.T) {
	doc := load(t)
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if doc.OpenAPI != "3.1.0" {
		t.Errorf("it is OpenAPI %s", doc.OpenAPI)
	}
}

// TestDescriptionListsEveryEndpoint holds the description to the router of the service: the same paths with the same
// methods, and no other.
func TestDescriptionListsEveryEndpoint(t *testing.T) {
	routed := endpoints(t, "../service.go")
	described := map[string]string{}
	for path, item := range load(t).Paths.Map() {
		methods := slices.Sorted(maps.Keys(item.Operations()))
		// A parameter stands for what follows a prefix of the router's.
		prefix, _, _ := strings.Cut(path, "{")
		described[prefix] = strings.Join(methods, ", ")
	}
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
	doc := load(t)
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

func TestServe(t *testing.T) {
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	get := func(method string, header http.Header) *httptest.ResponseRecorder {
		request := httptest.NewRequestWithContext(t.Context(), method, "/openapi.json", http.NoBody)
		request.Header = header
		answer := httptest.NewRecorder()
		openapi.Serve(answer, request)
		return answer
	}
	first := get(http.MethodGet, http.Header{})
	if first.Code != http.StatusOK || first.Body.String() != string(text) || first.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %v", first.Code, first.Header())
	}
	if again := get(http.MethodGet, http.Header{"If-None-Match": {first.Header().Get("ETag")}}); again.Code != http.StatusNotModified {
		t.Errorf("asked whether it still holds: %d", again.Code)
	}
	if head := get(http.MethodHead, http.Header{}); head.Code != http.StatusOK || head.Body.Len() != 0 {
		t.Errorf("HEAD: %d with %d bytes", head.Code, head.Body.Len())
	}
}
