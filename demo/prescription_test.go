package demo

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dd2befc3/countersign/client"
)

func TestPrescriptionsAreMadeAgainTheSame(t *testing.T) {
	seed, at := uuid.MustParse("f523a772-24f2-45d6-a8da-59b48de0231a"), time.Unix(1_790_000_000, 0).UTC()
	documents := map[string]bool{}
	medicines := map[string]bool{}
	for i := range 250 {
		p := prescribe(seed, i, "555086689106", at)
		if again := prescribe(seed, i, "555086689106", at); again.document() != p.document() {
			t.Fatalf("prescription %d differs the second time", i)
		}
		documents[p.document()], medicines[p.Medicine.Code] = true, true
	}
	if len(documents) != 250 || len(medicines) < 6 {
		t.Errorf("got %d different documents, %d medicines", len(documents), len(medicines))
	}
	if prescribe(uuid.New(), 0, "555086689106", at).document() == prescribe(seed, 0, "555086689106", at).document() {
		t.Error("two seeds gave the same prescription")
	}
}

// TestNHSNumbers checks them by the rule for whole numbers, which is not the one that made them.
func TestNHSNumbers(t *testing.T) {
	for i := range 500 {
		number := prescribe(uuid.Nil, i, "", time.Time{}).Patient.NHSNumber
		sum := 0
		for j, digit := range number {
			sum += int(digit-'0') * max(10-j, 1)
		}
		if len(number) != 10 || !strings.HasPrefix(number, "999") || sum%11 != 0 {
			t.Errorf("%s is not a test NHS number", number)
		}
	}
	for nine, want := range map[string]int{"943476591": 9, "999012345": nhsCheckDigit("999012345"), "000000000": 0} {
		if got := nhsCheckDigit(nine); got != want {
			t.Errorf("%s: got %d, want %d", nine, got, want)
		}
	}
}

func TestPrescriptionNumbers(t *testing.T) {
	for i := range 100 {
		number := prescribe(uuid.Nil, i, "", time.Time{}).Number
		if !regexp.MustCompile(`^[0-9A-F]{6}-Z99999-[0-9A-F]{5}[0-9A-Z+]$`).MatchString(number) {
			t.Errorf("%s", number)
		}
		// ISO/IEC 7064: the value of the whole, check character included, is 1 modulo 37.
		value := 0
		for _, c := range strings.ReplaceAll(number, "-", "") {
			value = (value*2 + strings.IndexRune(mod37Characters, c)) % 37
		}
		if value != 1 {
			t.Errorf("%s has the wrong check character", number)
		}
	}
}

// TestDocumentsAreCanonical: what the decoder reads, written again by the rules of canonical XML, is the same.
func TestDocumentsAreCanonical(t *testing.T) {
	p := prescribe(uuid.Nil, 1, `5&<>"`, time.Unix(0, 0).UTC())
	decoder := xml.NewDecoder(strings.NewReader(p.document()))
	var again strings.Builder
	for {
		token, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			again.WriteString("<" + token.Name.Local)
			for _, a := range token.Attr {
				fmt.Fprintf(&again, ` %s="%s"`, a.Name.Local, client.EscapeAttribute(a.Value))
			}
			again.WriteString(">")
		case xml.EndElement:
			again.WriteString("</" + token.Name.Local + ">")
		default:
			t.Errorf("%T has no place in it", token)
		}
	}
	if again.String() != p.document() || strings.Contains(p.document(), "/>") {
		t.Errorf("got  %s\nwant %s", p.document(), again.String())
	}
	for _, want := range []string{
		`<MedicationRequest xmlns="http://hl7.org/fhir"><id value="` + p.ID + `">`, `value="` + p.Patient.NHSNumber + `"`,
		`value="` + p.Medicine.Code + `"`, `value="` + p.Medicine.Dosage + `"`, `value="5&amp;&lt;>&quot;"`, `value="1970-01-01T00:00:00Z"`,
	} {
		if !strings.Contains(p.document(), want) {
			t.Errorf("want %s in %s", want, p.document())
		}
	}
}

func TestBatchesAreBounded(t *testing.T) {
	now := time.Now()
	bs := batches{now: func() time.Time { return now }}
	for i := range maxBatches + 5 {
		bs.add(&batch{state: fmt.Sprint(i), secret: "s", made: now})
	}
	if len(bs.order) != maxBatches || bs.find("4", "s") != nil || bs.find("5", "s") == nil || bs.find("1004", "s") == nil {
		t.Errorf("got %d batches kept", len(bs.order))
	}
	if bs.find("5", "") != nil || bs.find("", "") != nil {
		t.Error("found a batch without its secret")
	}
	now = now.Add(batchLife)
	if bs.find("1004", "s") != nil {
		t.Error("found an expired batch")
	}
	bs.add(&batch{state: "new", secret: "s", made: now})
	if len(bs.order) != 1 {
		t.Errorf("got %d batches kept an hour later", len(bs.order))
	}
}
