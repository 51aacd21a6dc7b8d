package prescription

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// noon is the signing time of the tests.
var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// absent is the value of an edit that removes a member.
type absent struct{}

// edit changes one place of a bundle. The place is a path such as Patient.name[0].use; the first word is the type of
// the resource, followed by [1] for the second of that type. "Bundle" is the bundle itself.
type edit struct {
	place string
	value any
}

// tree is a bundle that can be edited.
type tree map[string]any

func loadTree(t testing.TB, name string) tree {
	t.Helper()
	return parseTree(t, expected{Name: name}.source(t))
}

func parseTree(t testing.TB, source []byte) tree {
	t.Helper()
	var whole tree
	decoder := json.NewDecoder(bytes.NewReader(source))
	decoder.UseNumber()
	if err := decoder.Decode(&whole); err != nil {
		t.Fatal(err)
	}
	return whole
}

func (whole tree) source(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(whole); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var step = regexp.MustCompile(`^(\w+)(?:\[(\d+)\])?$`)

// apply makes an edit. Missing objects and lists on the path are created.
func (whole tree) apply(t testing.TB, e edit) {
	t.Helper()
	kind, path, _ := strings.Cut(e.place, ".")
	var at any = map[string]any(whole)
	if kind != "Bundle" {
		at = whole.resource(t, kind)
	}
	parts := strings.Split(path, ".")
	for i, part := range parts {
		match := step.FindStringSubmatch(part)
		if match == nil {
			t.Fatalf("malformed path %s", e.place)
		}
		object, ok := at.(map[string]any)
		if !ok {
			t.Fatalf("%s: the parent is neither an object nor a list", e.place)
		}
		name, last := match[1], i == len(parts)-1
		if match[2] == "" {
			switch {
			case last && e.value == absent{}:
				delete(object, name)
			case last:
				object[name] = e.value
			case object[name] == nil:
				object[name] = map[string]any{}
			}
			at = object[name]
			continue
		}
		index, err := strconv.Atoi(match[2])
		if err != nil {
			t.Fatal(err)
		}
		list, _ := object[name].([]any)
		for len(list) <= index {
			list = append(list, map[string]any{})
		}
		object[name] = list
		switch {
		case last && e.value == absent{}:
			object[name] = append(list[:index:index], list[index+1:]...)
		case last:
			list[index] = e.value
		}
		at = list[index]
	}
}

func (whole tree) resource(t testing.TB, kind string) map[string]any {
	t.Helper()
	match := step.FindStringSubmatch(kind)
	if match == nil {
		t.Fatalf("%s is not a kind of resource", kind)
	}
	skip, _ := strconv.Atoi(match[2])
	for _, e := range whole.entries() {
		resource, _ := e["resource"].(map[string]any)
		if resource["resourceType"] != match[1] {
			continue
		}
		if skip == 0 {
			return resource
		}
		skip--
	}
	t.Fatalf("the bundle has no %s", kind)
	return nil
}

func (whole tree) entries() []map[string]any {
	list, _ := whole["entry"].([]any)
	var entries []map[string]any
	for _, e := range list {
		entries = append(entries, e.(map[string]any))
	}
	return entries
}

// edited returns a case with edits applied to it.
func edited(t testing.TB, name string, edits ...edit) *Bundle {
	t.Helper()
	whole := loadTree(t, name)
	for _, e := range edits {
		whole.apply(t, e)
	}
	return mustRead(t, whole.source(t))
}

// object parses a JSON value.
func object(t testing.TB, text string) any {
	t.Helper()
	var value any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}
