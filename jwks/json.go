package jwks

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxDepth is the greatest nesting depth of a header, a payload or a key set.
const maxDepth = 16

// decodeStrict decodes data into a struct by the rules of Token.Decode. Errors call data what.
func decodeStrict(what string, data []byte, into any, known ...string) error {
	refuse := func(code Code, format string, args ...any) *Error {
		return &Error{Code: code, Text: "the token's " + what + " " + fmt.Sprintf(format, args...)}
	}
	if trimmed := bytes.TrimLeft(data, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return refuse(CodeJSON, "is not a JSON object")
	}
	if err := checkNames(data, namesFor(reflect.TypeOf(into), known)); err != nil {
		return refuse(CodeJSON, "%v", err)
	}
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return refuse(CodeJSON, "has a duplicate name in one object")
	}
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return refuse(CodeJSON, "is not valid JSON (at byte %d)", syntax.ByteOffset)
	}
	// Decoding stops at the first wrong type, so what follows may still be invalid JSON.
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok && jsontext.Value(data).IsValid() {
		e := refuse(CodeType, "has a member of an unexpected type or value")
		e.Member = string(semantic.JSONPointer)
		return e
	}
	return refuse(CodeJSON, "is not valid JSON")
}

// knownName is a member name with the names known in the objects below it.
type knownName struct {
	name  string
	below []knownName
}

// shape identifies a set of known names: a type, and names joined by spaces.
type shape struct {
	of    reflect.Type
	known string
}

// shapes caches the names of each shape, of which a program has a handful. Cached names are never modified.
var shapes sync.Map

// namesFor returns the names known in a type, plus those given.
func namesFor(of reflect.Type, known []string) []knownName {
	key := shape{of, strings.Join(known, " ")}
	if names, found := shapes.Load(key); found {
		return names.([]knownName)
	}
	names := namesOf(of, maxDepth)
	for _, path := range known {
		names = addName(names, path)
	}
	shapes.Store(key, names)
	return names
}

// addName adds a name, or a path such as payloads/id, to the known names.
func addName(names []knownName, path string) []knownName {
	name, rest, deeper := strings.Cut(path, "/")
	i := slices.IndexFunc(names, func(k knownName) bool { return k.name == name })
	if i < 0 {
		i = len(names)
		names = append(names, knownName{name: name})
	}
	if deeper {
		names[i].below = addName(names[i].below, rest)
	}
	return names
}

// namesOf returns the JSON names of a struct's fields, through pointers, slices and arrays, depth levels deep.
func namesOf(t reflect.Type, depth int) []knownName {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || depth == 0 {
		return nil
	}
	var names []knownName
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case !field.IsExported() || name == "-":
			continue
		case name == "" && field.Anonymous:
			names = append(names, namesOf(field.Type, depth-1)...)
			continue
		case name == "":
			name = field.Name
		}
		names = append(names, knownName{name: name, below: namesOf(field.Type, depth-1)})
	}
	return names
}

// checkNames rejects nesting deeper than maxDepth, and names that equal a known one only when case is ignored,
// because other readers of the same text would take them for it. It makes one pass that skips strings and
// assumes valid JSON; on other input its result is arbitrary, and the real parser rejects it.
func checkNames(data []byte, top []knownName) error {
	type level struct {
		known []knownName // known in the objects of this level: this object, or the elements of this array
		array bool
	}
	levels := make([]level, 1, maxDepth+1) // the first one is the level around the text
	next := top                            // known names of the next value
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '{', '[':
			if len(levels) == cap(levels) {
				return fmt.Errorf("is nested deeper than %d levels", maxDepth)
			}
			levels = append(levels, level{known: next, array: data[i] == '['})
		case '}', ']':
			levels = levels[:max(1, len(levels)-1)]
		case '"':
			end := stringEnd(data, i)
			if isName(data, end) {
				var err error
				if next, err = lookUp(levels[len(levels)-1].known, data[i:end]); err != nil {
					return err
				}
			}
			i = end - 1
			continue
		case ',':
		default:
			continue
		}
		if inside := levels[len(levels)-1]; inside.array {
			next = inside.known
		}
	}
	return nil
}

// stringEnd returns the index after the closing quote of the string that starts at data[start].
func stringEnd(data []byte, start int) int {
	for i := start + 1; ; {
		n := bytes.IndexByte(data[i:], '"')
		if n < 0 {
			return len(data)
		}
		i += n + 1
		slashes := 0
		for data[i-2-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// isName reports whether the string that ends before data[end] is a member name, that is, a colon follows.
func isName(data []byte, end int) bool {
	rest := bytes.TrimLeft(data[end:], " \t\r\n")
	return len(rest) > 0 && rest[0] == ':'
}

// lookUp returns the names known below a quoted name.
func lookUp(known []knownName, quoted []byte) ([]knownName, error) {
	if len(known) == 0 {
		return nil, nil
	}
	name, err := jsontext.AppendUnquote(nil, quoted)
	if err != nil {
		return nil, errors.New("is not valid JSON")
	}
	for _, k := range known {
		if string(name) == k.name {
			return k.below, nil
		}
	}
	for _, k := range known {
		if strings.EqualFold(string(name), k.name) {
			return nil, fmt.Errorf("has a name that differs from %q only in case", k.name)
		}
	}
	return nil, nil
}

// StringValue returns the text of a JSON string. It returns false for any other or a missing value.
func StringValue(v jsontext.Value) (string, bool) {
	if v.Kind() != jsontext.KindString {
		return "", false
	}
	text, err := jsontext.AppendUnquote(nil, v)
	return string(text), err == nil
}

// latestDate is the largest NumericDate accepted: the last second of the year 9999.
const latestDate = 253402300799

// NumericDate parses a JSON number, integer or not, as seconds since 1970 (RFC 7519 §2). It returns false for
// any other value, for a missing one, and for a time before 1970 or after the year 9999.
func NumericDate(v jsontext.Value) (time.Time, bool) {
	if v.Kind() != jsontext.KindNumber {
		return time.Time{}, false
	}
	return parseDate(string(v))
}

// LooseNumericDate is NumericDate but also accepts a string that holds such a number (TOK-2.8).
func LooseNumericDate(v jsontext.Value) (time.Time, bool) {
	text, ok := StringValue(v)
	if !ok {
		return NumericDate(v)
	}
	number := jsontext.Value(text)
	if !number.IsValid() {
		return time.Time{}, false
	}
	return NumericDate(number)
}

func parseDate(number string) (time.Time, bool) {
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || f < 0 || f > latestDate {
		return time.Time{}, false
	}
	seconds, fraction := math.Modf(f)
	return time.Unix(int64(seconds), int64(fraction*1e9)).UTC(), true
}
