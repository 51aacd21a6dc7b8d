package bars_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/seed-dd2befc3/countersign/bars"
	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
)

const descriptionFile = "openapi/openapi.json"

// The description lists the API's paths and methods, and no others.
func TestDescriptionListsEveryEndpoint(t *testing.T) {
	proxy := bars.NewProxy(bars.Options{})
	listed := descriptiontest.Endpoints(descriptiontest.Lint(t, descriptionFile))
	for path, methods := range listed {
		if strings.HasSuffix(path, "/") {
			path += "1"
		}
		got := httptest.NewRecorder()
		call := proxy.Route(got, httptest.NewRequest(http.MethodTrace, path, nil))
		served := strings.Split(got.Header().Get("Allow"), ", ")
		if call.Outcome == nil || call.Outcome.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: got outcome %v", path, call.Outcome)
		}
		for _, method := range strings.Split(methods, ", ") {
			if !strings.Contains(got.Header().Get("Allow"), method) {
				t.Errorf("%s: the description has method %s, the API accepts %v", path, method, served)
			}
		}
		if len(served) != len(strings.Split(methods, ", ")) {
			t.Errorf("%s: the API accepts %v, the description has %s", path, served, methods)
		}
	}
	source, err := os.ReadFile("proxy.go")
	if err != nil {
		t.Fatal(err)
	}
	_, router, _ := strings.Cut(string(source), "func endpointOf(")
	router, _, found := strings.Cut(router, "\n}\n")
	routed := regexp.MustCompile(`"(/[^"]+)"`).FindAllStringSubmatch(router, -1)
	if !found || len(routed) < 8 {
		t.Fatalf("cannot read the router's source, got routes %v: adapt this test", routed)
	}
	for _, path := range routed {
		if listed[path[1]] == "" {
			t.Errorf("%s is served but not described", path[1])
		}
	}
}

// Every outcome a sender can get is an example in the description.
func TestDescriptionHasEveryOutcome(t *testing.T) {
	described := map[string]bool{}
	for _, response := range descriptiontest.Lint(t, descriptionFile).Components.Responses {
		for _, example := range examplesOf(response.Value) {
			if outcome, is := example.Value.Value.(map[string]any); is {
				issue := outcome["issue"].([]any)[0].(map[string]any)
				coding := issue["details"].(map[string]any)["coding"].([]any)[0].(map[string]any)
				described[fmt.Sprint(issue["code"], " / ", coding["code"])] = true
			}
		}
	}
	seen := 0
	for _, file := range []string{"outcomes.go", "sandbox.go", "sender.go"} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`Issue: "([^"]+)", Code: "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			seen++
			if found[2] == "SEND_GONE" || found[2] == "REC_BROKEN_OFF" {
				continue // only logged: the sender has gone, or the answer has begun
			}
			if !described[found[1]+" / "+found[2]] {
				t.Errorf("%s: outcome %s / %s is not in the description", file, found[1], found[2])
			}
		}
	}
	if seen < 18 {
		t.Errorf("found only %d outcomes: adapt this test to how they are written", seen)
	}
}

func examplesOf(response *openapi3.Response) openapi3.Examples {
	if content := response.Content[bars.ContentType]; content != nil {
		return content.Examples
	}
	return nil
}
