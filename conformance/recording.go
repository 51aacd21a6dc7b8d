package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/seed-dd2befc3/countersign/redact"
)

// Recording is what a target answered, without anything secret or personal: statuses, some header fields, the texts of
// errors, and the shape of everything else. Two of them show how two services, or two releases of one, differ.
type Recording struct {
	At   time.Time `json:"at"`
	Rows []Row     `json:"rows"`
}

// Row is the recorded answer to one case.
type Row struct {
	Rule   string            `json:"rule"`
	Name   string            `json:"name,omitempty"`
	Status int               `json:"status"`
	Header map[string]string `json:"header,omitempty"`
	Body   any               `json:"body,omitempty"` // JSON with texts of errors and the types of other values, or "text"
}

// recordedHeaders are the header fields that tell two services apart and hold nothing secret.
var recordedHeaders = []string{
	"Access-Control-Allow-Methods", "Access-Control-Allow-Origin", "Access-Control-Max-Age", "Allow", "Cache-Control", "Content-Type",
	"Location", "Retry-After", "WWW-Authenticate",
}

// recordedTexts are the JSON members whose texts are recorded. Of all others the type is.
var recordedTexts = map[string]bool{
	"code": true, "diagnostics": true, "error": true, "error_description": true, "errorcode": true, "expires_in": true, "faultstring": true,
	"message": true, "resourceType": true, "severity": true, "status": true, "statusCode": true, "system": true, "token_type": true,
}

// Record makes a recording of a run's results. Cases that were not answered are not in it.
func Record(target Target, results []Result, at time.Time) Recording {
	hide := hider(target)
	recording := Recording{At: at.UTC()}
	for _, result := range results {
		if result.answer.status == 0 {
			continue
		}
		row := Row{Rule: result.Rule, Name: result.Name, Status: result.answer.status, Header: map[string]string{}}
		for _, name := range recordedHeaders {
			if value := result.answer.header.Get(name); value != "" {
				row.Header[name] = hide(redact.Text(value))
			}
		}
		if location := result.answer.header.Get("Location"); location != "" {
			row.Header["Location"] = hide(redact.URI(location))
		}
		row.Body = bodyShape(result.answer, hide)
		recording.Rows = append(recording.Rows, row)
	}
	return recording
}

// hider removes what the target knows the caller by.
func hider(t Target) func(string) string {
	var pairs []string
	for _, secret := range []string{t.Client, t.KID, t.Secret, t.User, t.Bearer, t.APIKey, t.RedirectURI} {
		if secret != "" {
			pairs = append(pairs, secret, "…")
		}
	}
	return strings.NewReplacer(pairs...).Replace
}

func bodyShape(got answer, hide func(string) string) any {
	var value any
	switch {
	case got.body == "":
		return nil
	case json.Unmarshal([]byte(got.body), &value) != nil:
		return "text"
	}
	return shape("", value, hide)
}

// shape returns a JSON value with the types of values in the place of those that are not recorded.
func shape(name string, value any, hide func(string) string) any {
	switch v := value.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for member, inner := range v {
			object[member] = shape(member, inner, hide)
		}
		return object
	case []any:
		list := make([]any, 0, len(v))
		for _, inner := range v {
			list = append(list, shape(name, inner, hide))
		}
		return list
	case string:
		if recordedTexts[name] {
			return hide(redact.Text(v))
		}
		return "string"
	case float64:
		if recordedTexts[name] {
			return v
		}
		return "number"
	case bool:
		return "boolean"
	}
	return nil
}

// Drift is one way in which two recordings differ.
type Drift struct {
	Rule string `json:"rule"`
	Name string `json:"name,omitempty"`
	What string `json:"what"` // status, header <name>, body <path>, or recorded
	A    string `json:"a"`
	B    string `json:"b"`
}

// ID is the case's.
func (d Drift) ID() string { return Case{Rule: d.Rule, Name: d.Name}.ID() }

// Compare returns how two recordings differ, by the cases of the first and then those that only the second has.
func Compare(a, b Recording) []Drift {
	var all []Drift
	second := map[string]Row{}
	for _, row := range b.Rows {
		second[row.id()] = row
	}
	for _, row := range a.Rows {
		other, both := second[row.id()]
		delete(second, row.id())
		if !both {
			all = append(all, row.drift("recorded", "yes", "no"))
			continue
		}
		first, last := row.flat(), other.flat()
		names := map[string]bool{}
		for name := range first {
			names[name] = true
		}
		for name := range last {
			names[name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if first[name] != last[name] {
				all = append(all, row.drift(name, first[name], last[name]))
			}
		}
	}
	for _, row := range b.Rows {
		if _, only := second[row.id()]; only {
			all = append(all, row.drift("recorded", "no", "yes"))
		}
	}
	return all
}

func (r Row) id() string { return Case{Rule: r.Rule, Name: r.Name}.ID() }

func (r Row) drift(what, a, b string) Drift {
	if a == "" {
		a = nothing
	}
	if b == "" {
		b = nothing
	}
	return Drift{Rule: r.Rule, Name: r.Name, What: what, A: a, B: b}
}

// flat returns everything that a row records, by what it is.
func (r Row) flat() map[string]string {
	all := map[string]string{"status": fmt.Sprintf("%d %s", r.Status, http.StatusText(r.Status))}
	for name, value := range r.Header {
		all["header "+name] = value
	}
	flatten("body", r.Body, all)
	return all
}

func flatten(path string, value any, into map[string]string) {
	switch v := value.(type) {
	case nil:
	case map[string]any:
		for name, inner := range v {
			flatten(path+"."+name, inner, into)
		}
	case []any:
		for i, inner := range v {
			flatten(fmt.Sprintf("%s.%d", path, i), inner, into)
		}
	default:
		into[path] = textOf(v)
	}
}
