package docs_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestErrorsOfThePage checks that docs/client-developers.md lists every error of the two calls that a client makes, and no
// other, as the service's description has them.
func TestErrorsOfThePage(t *testing.T) {
	texts := sources(t)
	var description struct {
		Paths map[string]map[string]struct {
			Responses map[string]any `json:"responses"`
		} `json:"paths"`
		Components struct {
			Responses map[string]any `json:"responses"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(texts["signing/openapi/openapi.json"]), &description); err != nil {
		t.Fatal(err)
	}
	page := texts["docs/client-developers.md"]
	both := rowsBelow(t, page, "Both calls:")
	for heading, responses := range map[string]map[string]any{
		"`POST /signaturerequest`:":         description.Paths["/signaturerequest"]["post"].Responses,
		"`GET /signatureresponse/{token}`:": description.Paths["/signatureresponse/{token}"]["get"].Responses,
	} {
		want := map[string]bool{}
		for status, response := range responses {
			if ref, is := response.(map[string]any)["$ref"].(string); is {
				response = description.Components.Responses[ref[strings.LastIndex(ref, "/")+1:]]
			}
			for _, code := range codes(response) {
				want[status+" "+code] = true
			}
		}
		got := rowsBelow(t, page, heading)
		maps.Copy(got, both)
		if got, want := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
			t.Errorf("%s\ngot  %q\nwant %q", heading, got, want)
		}
	}
}

var (
	row  = regexp.MustCompile("(?m)^\\| ([0-9]{3}) \\| (`[^|]+) \\|")
	code = regexp.MustCompile("`([a-z_]+)`")
)

// rowsBelow are the pairs of status and code in the table below a line.
func rowsBelow(t *testing.T, page, line string) map[string]bool {
	t.Helper()
	_, table, found := strings.Cut(page, "\n"+line+"\n\n")
	if !found {
		t.Fatalf("the page has no line %q", line)
	}
	table, _, _ = strings.Cut(table, "\n\n")
	rows := map[string]bool{}
	for _, cells := range row.FindAllStringSubmatch(table, -1) {
		for _, word := range code.FindAllStringSubmatch(cells[2], -1) {
			rows[cells[1]+" "+word[1]] = true
		}
	}
	return rows
}

// codes are the values that a part of the description allows for a member code of an error answer.
func codes(part any) []string {
	var found []string
	switch part := part.(type) {
	case map[string]any:
		for name, value := range part {
			if properties, is := value.(map[string]any); is && name == "properties" {
				found = append(found, enum(properties["code"])...)
			} else if name != "examples" {
				found = append(found, codes(value)...)
			}
		}
	case []any:
		for _, value := range part {
			found = append(found, codes(value)...)
		}
	}
	return found
}

func enum(schema any) (values []string) {
	members, _ := schema.(map[string]any)
	if list, is := members["enum"].([]any); is {
		for _, value := range list {
			text, _ := value.(string)
			values = append(values, text)
		}
	}
	return values
}
