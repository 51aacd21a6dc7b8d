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

// The description lists endpoints that the proxy knows by name, and its own with all their methods. Any other path and
// method is forwarded, of which the description tells too.
func TestDescriptionListsEveryEndpoint(t *testing.T) {
	proxy := bars.NewProxy(bars.Options{Access: func(*http.Request) (string, error) { return "", bars.NoToken }})
	document := descriptiontest.Lint(t, descriptionFile)
	listed := descriptiontest.Endpoints(document)
	for path, methods := range listed {
		if strings.HasSuffix(path, "/") {
			path += "1"
		}
		got := httptest.NewRecorder()
		call := proxy.Route(got, httptest.NewRequest(http.MethodTrace, path, nil))
		own := methods == "GET, HEAD"
		if call.Endpoint == "other" || call.Outcome == nil || (call.Outcome.Status == http.StatusMethodNotAllowed) != own || own && got.Header().Get("Allow") != methods {
			t.Errorf("%s with methods %s: got endpoint %q, outcome %v, headers %v", path, methods, call.Endpoint, call.Outcome, got.Header())
		}
	}
	names, _ := document.Extensions["x-elsewhere"].(map[string]any)
	for status, name := range names {
		if name, _ := name.(string); document.Components.Responses[name] == nil {
			t.Errorf("x-elsewhere: status %s is described as %s, which the description does not have", status, name)
		}
	}
	if len(names) < 10 || len(listed) < 10 {
		t.Errorf("got %d statuses elsewhere and %d endpoints", len(names), len(listed))
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
