package descriptiontest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-dd2befc3/countersign/description/descriptiontest"
)

const small = `{
  "openapi": "3.1.0",
  "info": { "title": "A clock", "version": "1" },
  "paths": {
    "/time/{zone}": {
      "get": {
        "parameters": [{ "name": "zone", "in": "path", "required": true, "schema": { "type": "string" } }],
        "responses": {
          "200": {
            "description": "The time.",
            "headers": { "X-Zone": { "required": true, "schema": { "type": "string", "enum": ["utc"] } } },
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Time" } } }
          },
          "204": { "description": "There is none." },
          "301": { "description": "It is elsewhere.", "headers": { "Location": { "schema": { "type": "string" } } } },
          "409": {
            "description": "Two times.",
            "content": {
              "application/json": { "schema": { "anyOf": [{ "const": "two" }, { "x-passed-on": true }] } },
              "*/*": { "x-passed-on": true }
            }
          },
          "default": { "description": "Somebody else's.", "x-passed-on": true, "content": { "*/*": {} } }
        }
      }
    }
  },
  "components": {
    "schemas": {
      "Time": { "type": "object", "required": ["now"], "properties": { "now": { "type": "string" }, "zone": { "$ref": "#/components/schemas/Zone" } } },
      "Zone": { "type": "object", "properties": { "name": { "type": "string" } } }
    },
    "responses": {
      "NoEndpoint": { "description": "None.", "content": { "application/json": { "schema": { "type": "object", "properties": {} } } } },
      "MethodNotAllowed": { "description": "No.", "headers": { "Allow": { "required": true, "schema": { "type": "string" } } } }
    }
  }
}`

// Described answers pass, and no others do.
func TestJudge(t *testing.T) {
	document, err := descriptiontest.Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	header := func(pairs ...string) http.Header {
		h := http.Header{"Date": {"today"}, "Content-Type": {"application/json"}, "X-Zone": {"utc"}}
		for i := 0; i < len(pairs); i += 2 {
			if h.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
				h.Del(pairs[i])
			}
		}
		return h
	}
	plain := header("X-Zone", "", "Content-Type", "")
	for name, c := range map[string]struct {
		method, path string
		status       int
		header       http.Header
		body         string
		good         bool
	}{
		"as described":                        {"GET", "/time/x", 200, header(), `{"now":"12:00"}`, true},
		"with what may be there":              {"GET", "/time/x", 200, header(), `{"now":"12:00","zone":{"name":"UTC"}}`, true},
		"with a charset":                      {"GET", "/time/x", 200, header("Content-Type", "application/json; charset=utf-8"), `{"now":"12:00"}`, true},
		"nothing, where that is described":    {"GET", "/time/x", 204, plain, "", true},
		"a redirect":                          {"GET", "/time/x", 301, header("X-Zone", "", "Location", "/"), "", true},
		"somebody else's answer":              {"GET", "/time/x", 502, header("X-Theirs", "1", "Content-Type", "text/html", "Via", "1"), "<p>", true},
		"one of both":                         {"GET", "/time/x", 409, header("X-Theirs", "1", "Content-Type", "text/html", "Via", "1"), "<p>", true},
		"one of both, in JSON":                {"GET", "/time/x", 409, header("Via", "1"), `"three"`, true},
		"one of both, its own":                {"GET", "/time/x", 409, header("X-Zone", ""), `"two"`, true},
		"its own, over the proxy":             {"GET", "/time/x", 409, header("X-Zone", "", "Via", "1", "Cache-Control", "no-store"), `"two"`, true},
		"of its own no other status":          {"GET", "/time/x", 502, header("X-Zone", "", "Content-Type", "text/html"), "<p>", false},
		"of its own no other value":           {"GET", "/time/x", 409, header("X-Zone", ""), `"three"`, false},
		"of its own no other type":            {"GET", "/time/x", 409, header("X-Zone", "", "Content-Type", "text/html"), `"two"`, false},
		"of its own, over the proxy":          {"GET", "/time/x", 409, header("X-Zone", "", "Via", "1", "Cache-Control", "no-store"), `"three"`, false},
		"no such path":                        {"GET", "/date", 404, header("X-Zone", ""), "{}", true},
		"no such method":                      {"POST", "/time/x", 405, http.Header{"Allow": {"GET"}}, "", true},
		"another status":                      {"GET", "/time/x", 201, header(), `{"now":"12:00"}`, false},
		"no header that is required":          {"GET", "/time/x", 200, header("X-Zone", ""), `{"now":"12:00"}`, false},
		"a header with another value":         {"GET", "/time/x", 200, header("X-Zone", "cet"), `{"now":"12:00"}`, false},
		"a header too many":                   {"GET", "/time/x", 200, header("X-More", "1"), `{"now":"12:00"}`, false},
		"a header too many with a redirect":   {"GET", "/time/x", 301, header("Location", "/"), "", false},
		"another media type":                  {"GET", "/time/x", 200, header("Content-Type", "text/json"), `{"now":"12:00"}`, false},
		"no media type":                       {"GET", "/time/x", 200, header("Content-Type", ""), `{"now":"12:00"}`, false},
		"no JSON":                             {"GET", "/time/x", 200, header(), `now`, false},
		"no body":                             {"GET", "/time/x", 200, header(), ``, false},
		"a member of another type":            {"GET", "/time/x", 200, header(), `{"now":12}`, false},
		"a member too few":                    {"GET", "/time/x", 200, header(), `{}`, false},
		"a member too many":                   {"GET", "/time/x", 200, header(), `{"now":"12:00","then":"13:00"}`, false},
		"a member too many, deeper":           {"GET", "/time/x", 200, header(), `{"now":"12:00","zone":{"id":1}}`, false},
		"a body where none is described":      {"GET", "/time/x", 204, plain, "x", false},
		"an answer at a path that is not":     {"GET", "/date", 200, header(), `{"now":"12:00"}`, false},
		"another body where there is no path": {"GET", "/date", 404, header("X-Zone", ""), `{"now":1}`, false},
		"an answer to a method that is not":   {"POST", "/time/x", 200, header(), `{"now":"12:00"}`, false},
		"a refused method without Allow":      {"POST", "/time/x", 405, http.Header{}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, "/below"+c.path, nil)
			err := document.Judge(r, c.path, descriptiontest.Answer{Status: c.status, Header: c.header, Body: []byte(c.body)})
			if (err == nil) != c.good {
				t.Errorf("%v", err)
			}
		})
	}
	if err := document.Schema("Time", []byte(`{"now":"12:00"}`)); err != nil {
		t.Error(err)
	}
	for name, value := range map[string]string{"Time": `{"now":"12:00","then":""}`, "Date": `{}`, "Zone": `[`} {
		if document.Schema(name, []byte(value)) == nil {
			t.Errorf("value %s of %s is accepted as described", value, name)
		}
	}
}
