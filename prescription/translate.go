package prescription

import (
	"regexp"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// Translate makes the prescription that a bundle's signature covers (EPS-2). The moment of
// signing is that of the requester's signature if the bundle has one, else at. What cannot be translated is one
// Refusal: the patient is looked at before the author, the author before the items.
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

// translation keeps the first reason why a bundle cannot be translated. After it everything is empty.
type translation struct {
	bundle  *Bundle
	refusal *Refusal
}

func (t *translation) refuse(r *Refusal) {
	if t.refusal == nil {
		t.refusal = r
	}
}

// only is the one value of a list that has to have exactly one.
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

// atMostOne is the value of a list that may have one, or nil.
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

// which are the values that a condition holds for.
func which[T any](values []T, holds func(*T) bool) []*T {
	var found []*T
	for i := range values {
		if holds(&values[i]) {
			found = append(found, &values[i])
		}
	}
	return found
}

// all are all of the values.
func all[T any](values []T) []*T { return which(values, func(*T) bool { return true }) }

// resolve is the resource that a reference names.
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

// identifierIn is the value of the one identifier of a system.
func (t *translation) identifierIn(identifiers []identifier, system, path string) string {
	one := only(t, which(identifiers, func(i *identifier) bool { return i.System == system }), path, bySystem(system))
	return t.required(one.Value, path+".value")
}

// codingIn is the one coding of a system. It has a code.
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

// extensionIn is the one extension of a URL, extensionIfAny the one that may be there.
func (t *translation) extensionIn(extensions []extension, url, path string) *extension {
	return only(t, extensionsOf(extensions, url), path, byURL(url))
}

func (t *translation) extensionIfAny(extensions []extension, url, path string) *extension {
	return atMostOne(t, extensionsOf(extensions, url), path, byURL(url))
}

func extensionsOf(extensions []extension, url string) []*extension {
	return which(extensions, func(e *extension) bool { return e.URL == url })
}

// required is an attribute's value that must not be absent.
func (t *translation) required(value, path string) string {
	if value == "" {
		t.refuse(where("").tooFew(path))
	}
	return t.attribute(value, path)
}

// attribute is a value as an XML attribute can hold it, text one as an element can.
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

// texts are several, empty ones among them.
func (t *translation) texts(values []string, path string) []string {
	var out []string
	for _, value := range values {
		out = append(out, t.text(value, path))
	}
	return out
}

var uuidPattern = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// rootID is an id as a root attribute holds it: whatever contains a UUID is in upper case altogether.
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

// signed is the moment of signing. Fractions of a second are cut off.
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

// requesterSignature is the first signature in the bundle that the requester made, or nil.
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
