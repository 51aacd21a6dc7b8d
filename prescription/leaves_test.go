package prescription

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seed-dd2befc3/countersign/client"
)

// leaf is one string, number or boolean of a bundle.
type leaf struct {
	label      string // its path, such as Patient.name.family
	start, end int    // in the bundle's bytes
}

// leavesOf returns all leaves of a bundle. Labels omit list indices and name extensions.
func leavesOf(t testing.TB, source []byte) []leaf {
	t.Helper()
	whole := parseTree(t, source)
	decoder := jsontext.NewDecoder(bytes.NewReader(source))
	var found []leaf
	for {
		switch decoder.PeekKind() {
		case 0:
			return found
		case '{', '[', '}', ']':
			if _, err := decoder.ReadToken(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		value, err := decoder.ReadValue()
		if err != nil {
			t.Fatal(err)
		}
		if container, length := decoder.StackIndex(decoder.StackDepth()); container == '{' && length%2 == 1 {
			continue // a member name
		}
		end := int(decoder.InputOffset())
		found = append(found, leaf{labelOf(t, whole, decoder.StackPointer()), end - len(value), end})
	}
}

// labelOf returns the label of the value at a JSON pointer.
func labelOf(t testing.TB, whole tree, pointer jsontext.Pointer) string {
	t.Helper()
	label := "Bundle"
	var at any = map[string]any(whole)
	for name := range pointer.Tokens() {
		switch v := at.(type) {
		case []any:
			index, err := strconv.Atoi(name)
			if err != nil {
				t.Fatal(err)
			}
			at = v[index]
		case map[string]any:
			at = v[name]
			label += "." + name
		}
		object, _ := at.(map[string]any)
		if kind, ok := object["resourceType"].(string); ok {
			label = kind
		}
		if url, ok := object["url"].(string); ok {
			label += "(" + url[strings.LastIndex(url, "/")+1:] + ")"
		}
		if system, ok := object["system"].(string); ok && strings.HasSuffix(label, ".identifier") {
			label += "(" + system[strings.LastIndex(system, "/")+1:] + ")"
		}
	}
	return label
}

// other returns a different value for a leaf.
func (l leaf) other(source []byte) string {
	switch value := string(source[l.start:l.end]); value[0] {
	case '"':
		return value[:len(value)-1] + `x"`
	case 't':
		return "false"
	case 'f':
		return "true"
	default:
		return "1" + value
	}
}

// The possible effects of changing a leaf.
const (
	digestDiffers = 1 << iota
	digestStays
	bundleRefused
)

// TestLeaves changes each leaf of each case after it was prepared. Either the digest changes or the bundle is refused, or
// docs/prescriptions.md says that the field is not signed, or only sometimes.
func TestLeaves(t *testing.T) {
	fates := map[string]int{}
	changed := 0
	for _, c := range epsCases(t) {
		source := c.source(t)
		before, outcome := Prepare(mustRead(t, source), MayPrescribe, client.RS256, c.at(t))
		if outcome != nil {
			continue
		}
		for _, l := range leavesOf(t, source) {
			changed++
			fates[l.label] |= fate(slices.Concat(source[:l.start], []byte(l.other(source)), source[l.end:]), before)
		}
	}
	if changed < 5_000 {
		t.Errorf("got %d changes, want thousands", changed)
	}
	unsigned, atTimes := documentedLeaves(t)
	for label, fate := range fates {
		switch {
		case fate&digestDiffers != 0 && unsigned.covers(label):
			t.Errorf("%s is signed, but the docs say that it is not", label)
		case fate&digestStays == 0:
		case fate&digestDiffers == 0 && !unsigned.covers(label) && !atTimes.covers(label):
			t.Errorf("%s is not signed, but the docs do not say so", label)
		case fate&digestDiffers != 0 && !atTimes.covers(label):
			t.Errorf("%s is signed only sometimes, but the docs do not say so", label)
		}
	}
	for _, list := range []documented{unsigned, atTimes} {
		for path, used := range list {
			if !used {
				t.Errorf("the docs list %s, which no case has", path)
			}
		}
	}
}

func fate(altered []byte, before Prepared) int {
	b, err := ReadBundle(altered)
	if err != nil {
		return bundleRefused
	}
	after, outcome := Prepare(b, MayPrescribe, before.Algorithm, before.Timestamp)
	switch {
	case outcome != nil:
		return bundleRefused
	case after.Digest() == before.Digest():
		return digestStays
	}
	return digestDiffers
}

// documented are the paths of a list in the docs, and whether they were found.
type documented map[string]bool

// covers reports whether a label is a path of the list or below one.
func (d documented) covers(label string) bool {
	for path := range d {
		if rest, ok := strings.CutPrefix(label, path); ok && (rest == "" || rest[0] == '.' || rest[0] == '(') {
			d[path] = true
			return true
		}
	}
	return false
}

var codeSpan = regexp.MustCompile("`([A-Z][^`]*)`")

// documentedLeaves parses two tables of the docs.
func documentedLeaves(t testing.TB) (unsigned, atTimes documented) {
	t.Helper()
	page, err := os.ReadFile("../docs/prescriptions.md")
	if err != nil {
		t.Fatal(err)
	}
	table := func(heading string) documented {
		_, rest, found := strings.Cut(string(page), "## "+heading+"\n")
		if !found {
			t.Fatalf("the docs have no section %q", heading)
		}
		section, _, _ := strings.Cut(rest, "\n## ")
		list := documented{}
		for _, row := range strings.Split(section, "\n") {
			if strings.HasPrefix(row, "|") {
				for _, match := range codeSpan.FindAllStringSubmatch(row, -1) {
					list[match[1]] = false
				}
			}
		}
		return list
	}
	return table("What is not signed"), table("What is signed at times")
}
