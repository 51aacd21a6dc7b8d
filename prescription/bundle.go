package prescription

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits on a bundle. A typical prescription is about 20 KB.
const (
	MaxBytes   = 1 << 20
	MaxDepth   = 32
	MaxEntries = 512
)

// ErrUnreadable is wrapped by every error of ReadBundle.
var ErrUnreadable = errors.New("the bundle cannot be read")

// Bundle is a FHIR bundle as it was received. It is never modified.
type Bundle struct {
	source     []byte
	kind       string // its resourceType
	id         string
	entries    []entry
	entriesEnd int // offset of the bracket that closes the entry list in source; 0 if there is no list

	nulls json.Options // noNull if there is any
}

// entry is one resource of a bundle. value is nil for resource types that the translation does not use.
type entry struct {
	fullURL string
	kind    string
	value   any
}

// ReadBundle reads one JSON document strictly. It enforces the limits and UTF-8, and refuses duplicate names, trailing
// data, and values of the wrong JSON type in fields that the translation uses. Numbers keep their text (EPS-1.6). Other
// resources than a Bundle are read as well; Check refuses them. The Bundle retains data, so the caller must not modify it.
func ReadBundle(data []byte) (*Bundle, error) {
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("%w: %d bytes, want at most %d", ErrUnreadable, len(data), MaxBytes)
	}
	if deep := depth(data); deep > MaxDepth {
		return nil, fmt.Errorf("%w: nested %d levels deep, want at most %d", ErrUnreadable, deep, MaxDepth)
	}
	decoder := jsontext.NewDecoder(bytes.NewBuffer(data))
	b := &Bundle{source: data, nulls: json.DefaultOptionsV2()}
	if bytes.Contains(data, []byte("null")) {
		b.nulls = noNull
	}
	if err := b.read(decoder); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if _, err := decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: data after the JSON document", ErrUnreadable)
	}
	return b, nil
}

// depth returns how deeply a document nests. It counts brackets outside strings, so it is cheap and needs no valid JSON.
func depth(data []byte) int {
	level, deepest, quoted := 0, 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			level++
			deepest = max(deepest, level)
		case c == '}' || c == ']':
			level--
		}
	}
	return deepest
}

// ID returns the resource's id, or "" if it has none.
func (b *Bundle) ID() string { return b.id }

func (b *Bundle) read(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '{' {
		return decoder.SkipValue() // JSON, but not a resource
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	for decoder.PeekKind() != '}' {
		name, err := decoder.ReadToken()
		if err != nil {
			return err
		}
		switch name.String() {
		case "resourceType":
			err = json.UnmarshalDecode(decoder, &b.kind)
		case "id":
			err = json.UnmarshalDecode(decoder, &b.id)
		case "entry":
			err = b.readEntries(decoder)
		default:
			err = decoder.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	_, err := decoder.ReadToken()
	return err
}

func (b *Bundle) readEntries(decoder *jsontext.Decoder) error {
	if decoder.PeekKind() != '[' {
		return decoder.SkipValue() // not a list, so there are no entries
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	for decoder.PeekKind() != ']' {
		if len(b.entries) == MaxEntries {
			return fmt.Errorf("more than %d entries", MaxEntries)
		}
		e, err := b.readEntry(decoder)
		if err != nil {
			return fmt.Errorf("entry %d: %w", len(b.entries), err)
		}
		b.entries = append(b.entries, e)
	}
	if _, err := decoder.ReadToken(); err != nil {
		return err
	}
	b.entriesEnd = int(decoder.InputOffset()) - 1
	return nil
}

func (b *Bundle) readEntry(decoder *jsontext.Decoder) (e entry, err error) {
	if decoder.PeekKind() != '{' {
		return e, decoder.SkipValue() // not an entry, so nothing refers to it
	}
	if _, err := decoder.ReadToken(); err != nil {
		return e, err
	}
	for decoder.PeekKind() != '}' {
		name, err := decoder.ReadToken()
		if err != nil {
			return e, err
		}
		switch name.String() {
		case "fullUrl":
			err = json.UnmarshalDecode(decoder, &e.fullURL)
		case "resource":
			err = b.readResource(decoder, &e)
		default:
			err = decoder.SkipValue()
		}
		if err != nil {
			return e, err
		}
	}
	_, err = decoder.ReadToken()
	return e, err
}

func (b *Bundle) readResource(decoder *jsontext.Decoder, e *entry) error {
	if decoder.PeekKind() != '{' {
		return decoder.SkipValue() // not a resource
	}
	source := bytes.TrimLeft(b.source[decoder.InputOffset():], space+":")
	start := int64(len(b.source) - len(source))
	kind, ok := leadingType(source)
	if !ok {
		value, err := decoder.ReadValue()
		if err != nil {
			return err
		}
		var probe struct {
			Type string `json:"resourceType"`
		}
		if err := json.Unmarshal(value, &probe, sound); err != nil {
			return err
		}
		kind, start, decoder = probe.Type, 0, jsontext.NewDecoder(bytes.NewBuffer(value.Clone()))
	}
	e.kind = kind
	if e.value = newResource(kind); e.value == nil {
		return decoder.SkipValue()
	}
	if err := json.UnmarshalDecode(decoder, e.value, b.nulls); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	if request, ok := e.value.(*medicationRequest); ok {
		request.source = source[:decoder.InputOffset()-start]
	}
	return nil
}

const space = " \t\r\n"

// leadingType returns the resource type if it is the first member, as it nearly always is. This spares a pass over the
// resource. The JSON has not been checked yet.
func leadingType(source []byte) (string, bool) {
	rest := bytes.TrimLeft(bytes.TrimPrefix(source, []byte("{")), space)
	rest, first := bytes.CutPrefix(rest, []byte(`"resourceType"`))
	rest, colon := bytes.CutPrefix(bytes.TrimLeft(rest, space), []byte(":"))
	rest, quote := bytes.CutPrefix(bytes.TrimLeft(rest, space), []byte(`"`))
	kind, _, end := bytes.Cut(rest, []byte(`"`))
	return string(kind), first && colon && quote && end && bytes.IndexByte(kind, '\\') < 0
}

// sound skips the check for duplicate names in JSON that was checked before.
var sound = jsontext.AllowDuplicateNames(true)

// noNull refuses null. FHIR allows it only in lists whose values have extensions, and EPS does not treat it like an
// absent value.
var noNull = json.WithUnmarshalers(json.UnmarshalFromFunc(func(decoder *jsontext.Decoder, _ any) error {
	if decoder.PeekKind() == 'n' {
		return errors.New("null where a value is expected")
	}
	return errors.ErrUnsupported
}))

func newResource(kind string) any {
	switch kind {
	case "MessageHeader":
		return new(messageHeader)
	case "MedicationRequest":
		return new(medicationRequest)
	case "Patient":
		return new(patient)
	case "PractitionerRole":
		return new(practitionerRole)
	case "Practitioner":
		return new(practitioner)
	case "Organization":
		return new(organization)
	case "HealthcareService":
		return new(healthcareService)
	case "Location":
		return new(location)
	case "Medication":
		return new(medication)
	case "CommunicationRequest":
		return new(communicationRequest)
	case "List":
		return new(list)
	case "Provenance":
		return new(provenance)
	}
	return nil
}

// resources returns the bundle's resources of one type in their order.
func resources[T any](b *Bundle) []*T {
	var found []*T
	for _, e := range b.entries {
		if r, ok := e.value.(*T); ok {
			found = append(found, r)
		}
	}
	return found
}

// lookup returns the entries with a full URL.
func (b *Bundle) lookup(fullURL string) []entry {
	var found []entry
	for _, e := range b.entries {
		if e.fullURL == fullURL && fullURL != "" {
			found = append(found, e)
		}
	}
	return found
}

// lookupOne returns the resource that a reference names, or nil unless exactly one entry matches and has the type T.
func lookupOne[T any](b *Bundle, r *reference) *T {
	if r == nil {
		return nil
	}
	if found := b.lookup(r.Reference); len(found) == 1 {
		resource, _ := found[0].value.(*T)
		return resource
	}
	return nil
}
