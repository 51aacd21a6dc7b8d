package oauth

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dd2befc3/countersign/description"
	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
)

const descriptionFile = "openapi/openapi.json"

var described = sync.OnceValues(func() (*descriptiontest.Document, error) { return descriptiontest.Load(descriptionFile) })

// mustBeDescribed holds an answer to what the description says of it. Every answer of this package's tests comes here.
func mustBeDescribed(t testing.TB, r *http.Request, got *httptest.ResponseRecorder) {
	t.Helper()
	document, err := described()
	if err == nil {
		err = document.Judge(r, r.URL.Path, descriptiontest.Answer{Status: got.Code, Header: got.Header(), Body: got.Body.Bytes()})
	}
	if err != nil {
		t.Errorf("%s %s: the answer %d is not as it is described: %v\n%s", r.Method, r.URL.Path, got.Code, err, got.Body)
	}
}

// The description has the endpoints that are served, with their methods, and no other.
func TestDescriptionListsEveryEndpoint(t *testing.T) {
	w := newUserWorld(t)
	listed := descriptiontest.Endpoints(descriptiontest.Lint(t, descriptionFile))
	for path, methods := range listed {
		handler := http.Handler(w.Service)
		if w.Answers(path) {
			handler = w.Authorizer
		}
		got := httptest.NewRecorder()
		handler.ServeHTTP(got, httptest.NewRequest(http.MethodTrace, path, nil))
		described := strings.Split(strings.Replace(methods, "OPTIONS", "", 1), ", ")
		served := strings.Split(got.Header().Get("Allow"), ", ")
		if described = slices.DeleteFunc(described, func(m string) bool { return m == "" }); !slices.Equal(served, described) {
			t.Errorf("%s takes %v and is described with %v", path, served, described)
		}
	}
	routed := 0
	for _, file := range []string{"service.go", "authorizer.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?m)(?:case|path\w+ +=) "(/[a-z_-]+)"`).FindAllStringSubmatch(string(source), -1) {
			routed++
			if listed[found[1]] == "" {
				t.Errorf("%s serves %s, which the description does not have", file, found[1])
			}
		}
	}
	if want := len(listed) - 1; routed != want { // the description itself is named elsewhere
		t.Errorf("%d endpoints are found in the source, and %d described", routed, want)
	}
}

func TestTheDescriptionIsServedAndLinked(t *testing.T) {
	w := newWorld(t)
	want, err := os.ReadFile(descriptionFile)
	if err != nil {
		t.Fatal(err)
	}
	if a := w.do(httptest.NewRequest("GET", description.Path, nil)); a.status != http.StatusOK || a.body != string(want) {
		t.Errorf("%d with %d bytes", a.status, len(a.body))
	}
	if a := w.do(httptest.NewRequest("GET", "/_ping", nil)); a.header.Get("Link") != description.Link {
		t.Errorf("_ping links to %q", a.header.Get("Link"))
	}
}

// Every word that the source has for a refusal stands in the description, of which it is the beginning at least.
func TestDescriptionHasEveryWord(t *testing.T) {
	text, err := os.ReadFile(descriptionFile)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, found := range regexp.MustCompile(`(?:(?:bad|refused|invalidForm|errorQuery)\((?:code\w+, )?|Description: |invalidGrant\([^,]+, )"([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			seen++
			if !strings.Contains(string(text), found[1]) {
				t.Errorf("%s says %q, which the description does not have", file, found[1])
			}
		}
	}
	if seen < 60 {
		t.Errorf("only %d words found: they are written in another way than this test reads", seen)
	}
}
