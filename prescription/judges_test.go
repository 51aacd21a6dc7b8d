package prescription

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
)

// hard are texts that XML, JSON or Unicode treat specially.
var hard = []string{
	"&", "<", ">", `"`, "'", "&amp;", "&lt;", "&amp;amp;", "&#65;", "&#xA;", "&nbsp;", "<b>", "</value>", "<![CDATA[", "]]>", "<!--", "-->", "<?x?>", "&am", "p;",
	" ", "  ", "\t", "\t\t", "\n", "\r", "\r\n", "\n\r", "\u0085", "\r\u0085", "\u2028", "\u2029", "\u00a0", "\u1680", "\u2003", "\u3000", "\ufeff",
	"\u200b", "\u200d", "\u200e", "\u202e", "\u2066", "\u2069", "\u00ad", "\u034f", "\u0301", "\u20e3", "\ufe0f", "\u007f", "\u0080", "\u009f",
	"é", "ß", "ŉ", "İ", "漢字", "ﷺ", "😀", "👩🏽‍⚕️", "\U0001fffe", "\ue000", "\ufffd", "\U0010ffff", "\U000e0041",
	"x", "0", "tel:", "CD: ", "undefined", `\`, `\n`, `\u0000`, "%s", "${x}", "{{.}}",
}

func hardText(random *rand.Rand) string {
	var text strings.Builder
	for range random.IntN(8) {
		text.WriteString(hard[random.IntN(len(hard))])
	}
	return text.String()
}

// freeText are members whose value may be any text.
var freeText = []string{
	"family", "given", "prefix", "suffix", "text", "line", "city", "district", "state", "postalCode", "display", "unit", "contentString", "valueString", "name",
}

// harden puts hard texts into a bundle's free texts, and hard values into codes and numbers.
func harden(random *rand.Rand, name string, at any) any {
	switch v := at.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			v[name] = harden(random, name, v[name])
		}
	case []any:
		for i, value := range v {
			v[i] = harden(random, name, value)
		}
	case string:
		if slices.Contains(freeText, name) && random.IntN(2) == 0 || name == "value" && random.IntN(8) == 0 {
			return "x" + hardText(random)
		}
	}
	return at
}

// hardPrescriptions returns prescriptions translated from recorded bundles with hard texts.
func hardPrescriptions(t *testing.T, count int) []*Prescription {
	t.Helper()
	seed := uint64(16)
	if os.Getenv(countVariable) != "" {
		seed = rand.Uint64() // each batch of a campaign gets other ones
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	cases := epsCases(t)
	var made []*Prescription
	for tries := 0; len(made) < count; tries++ {
		if tries > 10*count {
			t.Fatalf("got %d prescriptions of %d bundles, want more of them to be translated", len(made), tries)
		}
		c := cases[random.IntN(len(cases))]
		whole := parseTree(t, c.source(t))
		harden(random, "", map[string]any(whole))
		if p, refusal := Translate(mustRead(t, whole.source(t)), noon); refusal == nil {
			made = append(made, p)
		}
	}
	return made
}

// countVariable is the environment variable for the number of bundles of a campaign.
const countVariable = "COUNTERSIGN_PRESCRIPTIONS"

// proofCount returns the number of bundles: a few hundred, or that of a campaign.
func proofCount(t *testing.T) int {
	t.Helper()
	wanted := os.Getenv(countVariable)
	if wanted == "" {
		return 300
	}
	count, err := strconv.Atoi(wanted)
	if err != nil {
		t.Fatal(err)
	}
	return count
}

// TestCanonical: xmllint canonicalizes fragments to the same bytes.
func TestCanonical(t *testing.T) {
	count := proofCount(t)
	made := hardPrescriptions(t, count)
	file := filepath.Join(t.TempDir(), "fragments.xml")
	for batch := range slices.Chunk(made, 250) {
		var document bytes.Buffer
		document.WriteString("<all>")
		for _, p := range batch {
			document.Write(p.Fragments())
		}
		document.WriteString("</all>")
		if err := os.WriteFile(file, document.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		var said bytes.Buffer
		lint := exec.Command("xmllint", "--huge", "--exc-c14n", file)
		lint.Stderr = &said
		got, err := lint.Output()
		if err != nil {
			t.Fatalf("xmllint: %v\n%s", err, said.Bytes())
		}
		if !bytes.Equal(got, document.Bytes()) {
			t.Fatalf("xmllint returned other bytes: %s", difference(got, document.Bytes()))
		}
	}
	t.Logf("%d prescriptions", count)
}

func difference(got, want []byte) string {
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	around := func(b []byte) []byte { return b[max(0, at-80):min(len(b), at+80)] }
	return fmt.Sprintf("at byte %d got\n%q\nwant\n%q", at, around(got), around(want))
}

// TestReaderOfHardTexts: fragments are read back to the same model, and mean the same to another XML parser.
func TestReaderOfHardTexts(t *testing.T) {
	for _, p := range hardPrescriptions(t, proofCount(t)) {
		fragments := p.Fragments()
		read, err := ReadFragments(fragments)
		if err != nil {
			t.Fatalf("%v\n%s", err, fragments)
		}
		if !reflect.DeepEqual(read, p) {
			t.Fatalf("got\n%#v\nwant\n%#v", read, p)
		}
		mustMean(t, fragments, p)
	}
}

// mustMean compares the values found by encoding/xml with those of the model, in order.
func mustMean(t *testing.T, fragments []byte, p *Prescription) {
	t.Helper()
	values := xmlValues(t, fragments)
	for _, c := range []struct {
		path string
		want []string
	}{
		{"Fragment/time@value", []string{p.Signed.Format("20060102150405")}},
		{"Fragment/id@root", []string{p.ID}},
		{"recordTarget/Patient/id@extension", []string{p.Patient.NHSNumber}},
		{"recordTarget/Patient/patientPerson/administrativeGenderCode@code", []string{p.Patient.Gender}},
		{"recordTarget/Patient/patientPerson/birthTime@value", []string{p.Patient.Born}},
		{"healthCareProvider/id@extension", []string{p.Patient.Practice}},
		{"AgentPerson/agentPerson/id@extension", []string{p.Author.ProfessionalCode}},
		{"AgentPerson/code@code", []string{p.Author.JobRole}},
		{"AgentPerson/representedOrganization/id@extension", []string{p.Author.Organisation.ODS}},
		{"AgentPerson/representedOrganization/name", []string{p.Author.Organisation.Name}},
		{"healthCareProviderLicense/Organization/id@extension", []string{p.Author.Organisation.Parent.ODS}},
		{"patientPerson/name/family", concat(p.Patient.Names, func(n Name) []string { return filled(n.Family) })},
		{"patientPerson/name/given", concat(p.Patient.Names, func(n Name) []string { return n.Given })},
		{"patientPerson/name/prefix", concat(p.Patient.Names, func(n Name) []string { return n.Prefix })},
		{"patientPerson/name/suffix", concat(p.Patient.Names, func(n Name) []string { return n.Suffix })},
		{"Patient/addr/streetAddressLine", concat(p.Patient.Addresses, func(a Address) []string { return a.Lines })},
		{"Patient/addr/postalCode", concat(p.Patient.Addresses, func(a Address) []string { return filled(a.PostalCode) })},
		{"Patient/telecom@value", concat(p.Patient.Telecoms, func(v Telecom) []string { return filled(v.Value) })},
		{"pertinentLineItem/id@root", concat(p.Items, func(i Item) []string { return []string{i.ID} })},
		{"repeatNumber/high@value", concat(p.Items, func(i Item) []string { return filled(i.Repeats) })},
		{"manufacturedRequestedMaterial/code@code", concat(p.Items, func(i Item) []string { return []string{i.Drug.Code} })},
		{"manufacturedRequestedMaterial/code@displayName", concat(p.Items, func(i Item) []string { return filled(i.Drug.Name) })},
		{"lineItemQuantity/quantity@value", concat(p.Items, func(i Item) []string { return []string{i.Quantity.Value} })},
		{"quantity/translation@value", concat(p.Items, func(i Item) []string { return []string{i.Quantity.Value} })},
		{"quantity/translation@code", concat(p.Items, func(i Item) []string { return filled(i.Quantity.UnitCode) })},
		{"quantity/translation@displayName", concat(p.Items, func(i Item) []string { return filled(i.Quantity.Unit) })},
		{"pertinentPrescriberEndorsement/value@code", concat(p.Items, func(i Item) []string { return i.Endorsements })},
		{"pertinentDosageInstructions/value", concat(p.Items, func(i Item) []string { return []string{i.Dosage} })},
	} {
		if got := values.at(c.path); !slices.Equal(got, c.want) {
			t.Fatalf("%s: got %q, want %q", c.path, got, c.want)
		}
	}
	said := values.at("pertinentAdditionalInstructions/value")
	for _, item := range p.Items {
		if item.Instructions.empty() {
			continue
		}
		inner := xmlValues(t, []byte("<inner>"+said[0]+"</inner>"))
		said = said[1:]
		if got := inner.at("inner/medication"); !slices.Equal(got, item.Instructions.Medications) {
			t.Fatalf("medications: got %q, want %q", got, item.Instructions.Medications)
		}
		if got := inner.at("inner/patientInfo"); !slices.Equal(got, item.Instructions.PatientInfo) {
			t.Fatalf("messages: got %q, want %q", got, item.Instructions.PatientInfo)
		}
		if got := strings.Join(inner.at("inner"), ""); got != item.Instructions.Text {
			t.Fatalf("instructions: got %q, want %q", got, item.Instructions.Text)
		}
	}
}

// concat returns one list of the values found by each.
func concat[T any](values []T, of func(T) []string) []string {
	var found []string
	for _, v := range values {
		found = append(found, of(v)...)
	}
	return found
}

func filled(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

// xmlValue is the value of an attribute, or the text of an element.
type xmlValue struct{ path, value string }

type xmlDocument []xmlValue

// at returns the values whose path ends in path.
func (d xmlDocument) at(path string) []string {
	var found []string
	for _, v := range d {
		if strings.HasSuffix(v.path, "/"+path) {
			found = append(found, v.value)
		}
	}
	return found
}

func xmlValues(t *testing.T, document []byte) xmlDocument {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(document))
	var found xmlDocument
	var path []string
	var texts []string
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		switch token := token.(type) {
		case xml.StartElement:
			path, texts = append(path, token.Name.Local), append(texts, "")
			for _, attribute := range token.Attr {
				found = append(found, xmlValue{"/" + strings.Join(path, "/") + "@" + attribute.Name.Local, attribute.Value})
			}
		case xml.CharData:
			texts[len(texts)-1] += string(token)
		case xml.EndElement:
			found = append(found, xmlValue{"/" + strings.Join(path, "/"), texts[len(texts)-1]})
			path, texts = path[:len(path)-1], texts[:len(texts)-1]
		}
	}
}

// TestDigestsByOpenSSL compares the digest of every case with OpenSSL's.
func TestDigestsByOpenSSL(t *testing.T) {
	dir := t.TempDir()
	args := []string{"dgst", "-r"}
	var files []string
	var want []string
	for _, c := range epsCases(t) {
		if c.Fragments == "" {
			continue
		}
		p, refusal := Translate(mustRead(t, c.source(t)), c.at(t))
		if refusal != nil {
			t.Fatal(refusal)
		}
		file := filepath.Join(dir, c.Name)
		if err := os.WriteFile(file, p.Fragments(), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		for _, algorithm := range []string{client.RS1, client.RS256} {
			_, digest, err := client.SignedInfo(algorithm, p.Fragments())
			if err != nil {
				t.Fatal(err)
			}
			raw, err := base64.StdEncoding.DecodeString(digest)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("%x *%s", raw, file))
		}
	}
	var got []string
	for _, hash := range []string{"-sha1", "-sha256"} {
		out, err := exec.Command("openssl", slices.Concat(args, []string{hash}, files)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, strings.Split(strings.TrimSpace(string(out)), "\n")...)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
