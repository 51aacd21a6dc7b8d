package prescription

import (
	"regexp"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Translate returns the content that a signature of the bundle covers (EPS-2). The signing time is that of the
// requester's signature if the bundle has one (EPS-2.7), otherwise at. If the bundle cannot be translated, the result is
// the first Refusal: of the patient before the author, of the author before the items (EPS-1.29).
func Translate(b *Bundle, at time.Time) (*Prescription, *Refusal) {
	t := &translation{bundle: b}
	p := &Prescription{}
	requests := resources[medicationRequest](b)
	if len(requests) == 0 {
		return nil, invalid("Bundle.entry", "Expected at least one MedicationRequest.")
	}
	first := requests[0]
	p.ID = t.rootID(t.extensionIn(first.GroupIdentifier.Extension, extPrescriptionID, "MedicationRequest.groupIdentifier.extension").
		ValueIdentifier.Value, "MedicationRequest.groupIdentifier.extension.valueIdentifier.value")
	p.Patient = t.patient(only(t, resources[patient](b), "Bundle.entry", byResource("Patient")))
	p.Signed = t.signed(first.Requester, at)
	p.Author = t.author(first.Requester)
	p.Items = t.items(requests)
	if t.refusal != nil {
		return nil, t.refusal
	}
	return p, nil
}

// translation keeps the first refusal. Its methods return zero values once there is one.
type translation struct {
	bundle  *Bundle
	refusal *Refusal
}

func (t *translation) refuse(r *Refusal) {
	if t.refusal == nil {
		t.refusal = r
	}
}

// only returns the value of a list that must have exactly one.
func only[T any](t *translation, values []*T, path string, w where) *T {
	switch {
	case len(values) == 1:
		return values[0]
	case len(values) == 0:
		t.refuse(w.tooFew(path))
	default:
		t.refuse(w.tooMany(path, "1"))
	}
	return new(T)
}

// atMostOne returns the value of a list that may have one, or nil.
func atMostOne[T any](t *translation, values []*T, path string, w where) *T {
	switch len(values) {
	case 0:
		return nil
	case 1:
		return values[0]
	}
	t.refuse(w.tooMany(path, "at most 1"))
	return nil
}

// which returns the values that satisfy a condition.
func which[T any](values []T, holds func(*T) bool) []*T {
	var found []*T
	for i := range values {
		if holds(&values[i]) {
			found = append(found, &values[i])
		}
	}
	return found
}

// all returns all values.
func all[T any](values []T) []*T { return which(values, func(*T) bool { return true }) }

// resolve returns the resource that a reference names (EPS-1.31).
func resolve[T any](t *translation, r *reference) *T {
	named := ""
	if r != nil {
		named = r.Reference
	}
	found := only(t, all(t.bundle.lookup(named)), "Bundle.entry", byFullURL(named))
	resource, ok := found.value.(*T)
	if !ok {
		t.refuse(invalid("Bundle.entry", "Unexpected resource type '%s' where fullUrl == '%s'.", orUndefined(found.kind), named))
		return new(T)
	}
	return resource
}

// identifierIn returns the value of the only identifier of a system.
func (t *translation) identifierIn(identifiers []identifier, system, path string) string {
	one := only(t, which(identifiers, func(i *identifier) bool { return i.System == system }), path, bySystem(system))
	return t.required(one.Value, path+".value")
}

// codingIn returns the only coding of a system. The coding must have a code.
func (t *translation) codingIn(concept codeableConcept, system, path string) coding {
	path += ".coding"
	one := *only(t, codingsOf([]codeableConcept{concept}, system), path, bySystem(system))
	one.Code = t.required(one.Code, path+".code")
	return one
}

func codingsOf(concepts []codeableConcept, system string) []*coding {
	var found []*coding
	for _, concept := range concepts {
		found = append(found, which(concept.Coding, func(c *coding) bool { return c.System == system })...)
	}
	return found
}

// extensionIn returns the only extension with a URL.
func (t *translation) extensionIn(extensions []extension, url, path string) *extension {
	return only(t, extensionsOf(extensions, url), path, byURL(url))
}

// extensionIfAny returns the extension with a URL, or nil.
func (t *translation) extensionIfAny(extensions []extension, url, path string) *extension {
	return atMostOne(t, extensionsOf(extensions, url), path, byURL(url))
}

func extensionsOf(extensions []extension, url string) []*extension {
	return which(extensions, func(e *extension) bool { return e.URL == url })
}

// required returns the value of an attribute that must not be absent.
func (t *translation) required(value, path string) string {
	if value == "" {
		t.refuse(where("").tooFew(path))
	}
	return t.attribute(value, path)
}

// attribute returns a value in the form it has in an XML attribute, and text in the form it has in an element.
func (t *translation) attribute(value, path string) string {
	return t.normal(normalAttribute, value, path)
}

func (t *translation) text(value, path string) string { return t.normal(normalText, value, path) }

func (t *translation) normal(normal func(string) (string, error), value, path string) string {
	out, err := normal(value)
	if err != nil {
		t.refuse(invalid(path, "The value cannot be written as XML: %v.", err))
	}
	return out
}

// texts returns several texts, including empty ones.
func (t *translation) texts(values []string, path string) []string {
	var out []string
	for _, value := range values {
		out = append(out, t.text(value, path))
	}
	return out
}

var uuidPattern = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// rootID returns an id in the form it has in a root attribute (EPS-2.6).
func (t *translation) rootID(id, path string) string { return upperUUID(t.required(id, path)) }

func upperUUID(id string) string {
	if !uuidPattern.MatchString(id) {
		return id
	}
	if isPlain(id) {
		return strings.ToUpper(id)
	}
	return cases.Upper(language.Und).String(id)
}

// signed returns the signing time without fractions of a second.
func (t *translation) signed(requester reference, at time.Time) time.Time {
	if s := requesterSignature(t.bundle, requester); s != nil {
		var when time.Time
		if err := when.UnmarshalText([]byte(s.When)); err != nil { // stricter than time.Parse
			t.refuse(invalid("Provenance.signature.when", "Incorrect format for date time string '%s'.", orUndefined(s.When)))
		}
		at = when
	}
	return at.UTC().Truncate(time.Second)
}

// requesterSignature returns the first signature in the bundle that was made by the requester, or nil.
func requesterSignature(b *Bundle, requester reference) *signature {
	for _, p := range resources[provenance](b) {
		for i := range p.Signature {
			if who := p.Signature[i].Who.Reference; who != "" && who == requester.Reference {
				return &p.Signature[i]
			}
		}
	}
	return nil
}
