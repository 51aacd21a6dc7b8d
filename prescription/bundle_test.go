package prescription

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// TestUnreadable: a bundle that is not parsed strictly could mean one thing here and another to the real service.
func TestUnreadable(t *testing.T) {
	source := string(expected{Name: base}.source(t))
	change := func(old, replaced string) string {
		t.Helper()
		if strings.Count(source, old) == 0 {
			t.Fatalf("%q is not in the bundle", old)
		}
		return strings.Replace(source, old, replaced, 1)
	}
	for name, c := range map[string]struct{ source, want string }{
		"empty":                         {"", "EOF"},
		"no JSON":                       {"Bundle", "invalid character"},
		"XML":                           {"<Bundle/>", "invalid character"},
		"cut off":                       {source[:len(source)/2], "EOF"},
		"two documents":                 {source + source, "data after"},
		"garbage behind":                {source + "x", "data after"},
		"byte order mark":               {"\ufeff" + source, "invalid character"},
		"a name twice":                  {change(`"gender": "female"`, `"gender": "male", "gender": "female"`), "duplicate object member name"},
		"a name twice, once escaped":    {change(`"gender": "female"`, `"gender": "male", "\u0067ender": "female"`), "duplicate object member name"},
		"a name twice that nobody uses": {change(`"gender": "female"`, `"gender": "female", "x": {"y": 1, "y": 2}`), "duplicate object member name"},
		"entry twice":                   {change(`"type": "message"`, `"type": "message", "entry": []`), "duplicate object member name"},
		"no UTF-8":                      {change("Ashdown", "Ashd\xffwn"), "invalid UTF-8"},
		"a lone surrogate":              {change("Ashdown", `Ashd\ud800wn`), "surrogate"},
		"a lone low surrogate":          {change("Ashdown", `Ashd\udc00wn`), "surrogate"},
		"a control character":           {change("Ashdown", "Ash\x01down"), "invalid character"},
		"a comma too many":              {change(`"gender": "female",`, `"gender": "female",,`), "invalid character"},
		"a number spelt wrong":          {change(`"value": 28,`, `"value": 028,`), "invalid character"},
		"NaN":                           {change(`"value": 28,`, `"value": NaN,`), "invalid character"},
		"a number for a string":         {change(`"9990000018"`, `9990000018`), "Patient"},
		"a string for a list":           {change(`"given": [`, `"given": "Marged", "suffix": [`), "Patient"},
		"an object for a list":          {change(`"dosageInstruction": [`, `"dosageInstruction": {}, "x": [`), "MedicationRequest"},
		"a number for the type":         {change(`"resourceType": "Patient"`, `"resourceType": 1`), "entry 2"},
		"null for a list":               {change(`"gender": "female"`, `"gender": "female", "telecom": null`), "null"},
		"null for a string":             {change(`"gender": "female"`, `"gender": null`), "null"},
		"null in a list":                {change(`"Eluned"`, `null`), "null"},
		"null for an object":            {change(`"gender": "female"`, `"gender": "female", "telecom": [null]`), "null"},
		"deep":                          {change(`"gender": "female"`, `"gender": "female", "x": `+strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth)), "levels"},
		"large":                         {source + strings.Repeat(" ", MaxBytes), "bytes"},
		"many":                          {`{"resourceType": "Bundle", "entry": [` + strings.Repeat(`{},`, MaxEntries) + `{}]}`, "entries"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadBundle([]byte(c.source))
			if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an ErrUnreadable with %q", err, c.want)
			}
			if issue := Unreadable(err); issue.Severity != "fatal" || issue.Code != "structure" {
				t.Errorf("got %+v, want a fatal issue of structure", issue)
			}
		})
	}
}

// TestReadable: harmless variations are accepted.
func TestReadable(t *testing.T) {
	source := expected{Name: base}.source(t)
	want := mustPrepare(t, source)
	for name, changed := range map[string][]byte{
		"null that nobody reads": bytes.Replace(source, []byte(`"gender": "female"`), []byte(`"gender": "female", "_gender": {"x": [null]}, "deceasedBoolean": null`), 1),
		"the word null":          bytes.Replace(source, []byte(`"text": "Take`), []byte(`"x": "null", "text": "Take`), 1),
		"escapes":                bytes.Replace(source, []byte(`"Ashdown"`), []byte(`"\u0041shd\u006fwn"`), 1),
		"type last":              bytes.Replace(source, []byte(`"resourceType": "Patient",`), []byte(`"x": {"resourceType": "Device"}, "\u0072esourceType": "Patient",`), 1),
		"brackets in a string":   bytes.Replace(source, []byte(`"gender": "female"`), []byte(`"gender": "female", "x": "`+strings.Repeat(`[{\"`, 99)+`"`), 1),
		"an empty entry":         bytes.Replace(source, []byte(`"entry": [`), []byte(`"entry": [{}, {"resource": []}, `), 1),
		"names in other case":    bytes.Replace(source, []byte(`"gender": "female"`), []byte(`"gender": "female", "Gender": "male"`), 1),
	} {
		t.Run(name, func(t *testing.T) {
			if bytes.Equal(changed, source) {
				t.Fatal("nothing was changed")
			}
			if got := mustPrepare(t, changed); got.Digest() != want.Digest() {
				t.Error("got another digest, want the same")
			}
		})
	}
}

// TestNoBundle: JSON that is not a bundle is left for Check to refuse.
func TestNoBundle(t *testing.T) {
	for _, source := range []string{`{}`, `[]`, `"x"`, `1`, ` null `, `{"resourceType": "Patient", "entry": 1}`, `{"resourceType": "Bundle", "entry": {}}`} {
		b, err := ReadBundle([]byte(source))
		if err != nil {
			t.Errorf("%s: got %v, want no error", source, err)
			continue
		}
		if issues := b.Check(MayPrescribe); len(issues) != 1 || issues[0].Severity != "fatal" {
			t.Errorf("%s: got %v, want one fatal issue", source, issues)
		}
	}
}

func mustPrepare(t testing.TB, source []byte) Prepared {
	t.Helper()
	prepared, outcome := Prepare(mustRead(t, source), MayPrescribe, "RS256", noon)
	if outcome != nil {
		t.Fatalf("got %v, want a digest", outcome.Issues)
	}
	return prepared
}

// TestSource: requests keep their own JSON, wherever their type is and however they are formatted.
func TestSource(t *testing.T) {
	pretty := expected{Name: "four-items"}.source(t)
	compact := parseTree(t, pretty).source(t) // with members sorted by name
	for name, source := range map[string][]byte{"as recorded": pretty, "compact": compact} {
		for i, request := range resources[medicationRequest](mustRead(t, source)) {
			var got struct {
				Identifier []identifier `json:"identifier"`
				Type       string       `json:"resourceType"`
			}
			if err := json.Unmarshal(request.source, &got); err != nil {
				t.Fatalf("%s, request %d: %v", name, i, err)
			}
			if got.Type != "MedicationRequest" || got.Identifier[0] != request.Identifier[0] {
				t.Errorf("%s, request %d: got the JSON of %v, want that of %v", name, i, got, request.Identifier)
			}
		}
	}
}
