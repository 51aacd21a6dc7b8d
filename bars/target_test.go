package bars_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/bars"
)

func TestParseTarget(t *testing.T) {
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	good := bars.Target{System: "https://fhir.nhs.uk/Id/dos-service-id", Value: "2000072489"}
	for name, c := range map[string]struct {
		header string
		issue  string // of the refusal; empty: accepted
	}{
		"good":            {encode(`{"system":"https://fhir.nhs.uk/Id/dos-service-id","value":"2000072489"}`), ""},
		"spaces, members": {encode(` { "value":"2000072489", "x":[1], "system":"https://fhir.nhs.uk/Id/dos-service-id" } `), ""},
		"its own":         {good.Header(), ""},
		"empty":           {"", "400"},
		"not base64":      {"{}", "400"},
		"no padding":      {strings.TrimRight(encode(`{"system":"a","value":"b"}`), "="), "400"},
		"spare bits set":  {strings.TrimSuffix(encode(`{"system":"a","value":"b"}`), "0=") + "1=", "400"},
		"URL alphabet":    {base64.URLEncoding.EncodeToString([]byte(`{"system":"a","value":"??>"}`)), "400"},
		"not JSON":        {encode(`system=a&value=b`), "400"},
		"cut off":         {encode(`{"system":"a","value":"b"`), "400"},
		"twice":           {encode(`{"system":"a","value":"b","value":"c"}`), "400"},
		"too long":        {encode(`{"system":"a","value":"` + strings.Repeat("b", 4096) + `"}`), "400"},
		"a list":          {encode(`["a","b"]`), "structure"},
		"a number":        {encode(`{"system":"a","value":2000072489}`), "structure"},
		"null":            {encode(`null`), "structure"},
		"no system":       {encode(`{"value":"b"}`), "structure"},
		"no value":        {encode(`{"system":"a","value":""}`), "structure"},
		"other case":      {encode(`{"System":"a","value":"b"}`), "structure"},
	} {
		got, outcome := bars.ParseTarget(http.Header{"Nhsd-Target-Identifier": {c.header}})
		switch {
		case c.issue == "" && (outcome != nil || got != good):
			t.Errorf("%s: got target %v, outcome %v", name, got, outcome)
		case c.issue != "" && (outcome == nil || outcome.Status != 400 || outcome.Issue != c.issue || outcome.Code != "PROXY_BAD_REQUEST"):
			t.Errorf("%s: got target %v, outcome %+v", name, got, outcome)
		}
	}
	if _, outcome := bars.ParseTarget(http.Header{}); outcome == nil || outcome.Issue != "400" {
		t.Error("no header: want a refusal")
	}
	if _, outcome := bars.ParseTarget(http.Header{"Nhsd-Target-Identifier": {good.Header(), good.Header()}}); outcome == nil {
		t.Error("two headers: want a refusal")
	}
}
