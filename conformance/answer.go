package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// answer is what a target answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// Difference is one thing in which an answer is not what the rule demands.
type Difference struct {
	What string `json:"what"` // status, header <name>, body, or body <path>
	Got  string `json:"got"`
	Want string `json:"want"`
}

// String returns the difference as a report prints it.
func (d Difference) String() string { return fmt.Sprintf("%s: got %s, want %s", d.What, d.Got, d.Want) }

const nothing = "nothing"

// compare returns how an answer differs from what is demanded.
func (w Want) compare(got answer) (all []Difference) {
	differ := func(what, got, want string) {
		if got == "" {
			got = nothing
		}
		all = append(all, Difference{what, clip(got), want})
	}
	if got.status != w.Status {
		differ("status", strconv.Itoa(got.status), strconv.Itoa(w.Status))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Header)) {
		values, found := got.header[http.CanonicalHeaderKey(name)]
		if value := strings.Join(values, ", "); !w.Header[name].fits(value, found) {
			differ("header "+name, value, w.Header[name].String())
		}
	}
	if w.Empty && got.body != "" {
		differ("body", got.body, nothing)
	}
	if len(w.JSON) == 0 {
		return all
	}
	var body any
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		differ("body", got.body, "JSON")
		return all
	}
	for _, path := range slices.Sorted(maps.Keys(w.JSON)) {
		value, found := at(body, path)
		if !w.JSON[path].fits(value, found) {
			differ("body "+path, value, w.JSON[path].String())
		}
	}
	return all
}

// clip bounds what a report repeats of an answer.
func clip(text string) string {
	const most = 300
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

// at returns the value at a path of member names and indexes, as text.
func at(value any, path string) (text string, found bool) {
	for part := range strings.SplitSeq(path, ".") {
		switch v := value.(type) {
		case map[string]any:
			if value, found = v[part]; !found {
				return "", false
			}
		case []any:
			index, err := strconv.Atoi(part)
			if err != nil || index < 0 || index >= len(v) {
				return "", false
			}
			value = v[index]
		default:
			return "", false
		}
	}
	return textOf(value), true
}

// textOf returns a JSON value as text: a string as it is, anything else as JSON.
func textOf(value any) string {
	if text, is := value.(string); is {
		return text
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}

// members adds the members of a JSON object that are strings.
func (a answer) members(to map[string]string) {
	var object map[string]any
	if json.Unmarshal([]byte(a.body), &object) != nil {
		return // it has none
	}
	for name, value := range object {
		if text, is := value.(string); is {
			to[name] = text
		}
	}
}
