package command_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// recorded is what the real translation made of one prescription of prescription/testdata/eps.
type recorded struct {
	Name, Time, RS1, RS256, Error string
	Issues                        []any
}

func recordedPrescriptions(t *testing.T) (dir string, all []recorded) {
	t.Helper()
	dir = filepath.Join(gateway.Root(t), "prescription", "testdata", "eps")
	file, err := os.Open(filepath.Join(dir, "expected.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one recorded
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return filepath.Join(dir, "bundles"), all
}

// fhirAnswer is a line that digest prints.
type fhirAnswer struct {
	ResourceType string
	Parameter    []struct{ Name, ValueString string }
	Issue        []any
}

// digests computes those of all recorded prescriptions in one run of the command, and holds them to the recorded ones.
func (d *desk) digests(t *testing.T) {
	dir, all := recordedPrescriptions(t)
	for _, algorithm := range []string{"RS1", "RS256"} {
		args := []string{"prescription", "digest", "--at", "2026-11-30T12:00:00Z", "--algorithm", algorithm}
		for _, one := range all {
			args = append(args, filepath.Join(dir, one.Name+".json"))
		}
		got := d.run(t, args...)
		got.must(t, 1) // some are refused
		lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
		if len(lines) != len(all) {
			t.Fatalf("got %d lines, want %d", len(lines), len(all))
		}
		for i, one := range all {
			var answer fhirAnswer
			if err := json.Unmarshal([]byte(lines[i]), &answer); err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"RS1": one.RS1, "RS256": one.RS256}[algorithm]
			switch {
			case one.Error != "" || one.Issues != nil:
				if answer.ResourceType != "OperationOutcome" || len(answer.Issue) < max(1, len(one.Issues)) {
					t.Errorf("%s: got %s, want an OperationOutcome", one.Name, lines[i])
				}
			case answer.ResourceType != "Parameters" || len(answer.Parameter) != 3 || answer.Parameter[0].ValueString != want:
				t.Errorf("%s: got %s, want the digest %s", one.Name, lines[i], want)
			}
		}
	}
}

// prescriptions are signed by the mock, put together, and checked as EPS would.
func (d *desk) prescriptions(t *testing.T) {
	dir, _ := recordedPrescriptions(t)
	d.MustNotLog("Ashdown", "9990000018")
	var files []string
	names := []string{"four-items", "communication-list-and-text", "healthcare-service"}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, d.write(t, name+".json", data))
	}
	authority := d.Data("countersign/mock/ca.crt")
	for _, algorithm := range []string{"RS1", "RS256"} {
		out := "rx-" + algorithm + ".json"
		got := d.run(t, append(d.signing(out, "--mock", "--algorithm", algorithm), files...)...)
		got.must(t, 0, "3 of 3 prescriptions prepared", "3 of 3 signed", "3 of 3 signed prescriptions written", "Everything holds")
		saved := d.read(t, out)
		saved.Response.Verify(t, algorithm, saved.Payloads) // by OpenSSL
		for _, name := range names {
			signed := name + ".signed.json"
			d.run(t, "prescription", "verify", signed, "--issuer", authority).must(t, 0, "Everything holds")
			if name == names[0] {
				d.signedPrescription(t, signed, name+".json", out)
			}
			if info, err := os.Stat(d.path(signed)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: got %v, %v, want a file for its owner alone", signed, info.Mode(), err)
			}
			if err := os.Remove(d.path(signed)); err != nil {
				t.Fatal(err)
			}
		}
	}
	d.run(t, "prescription", "show", "four-items.json").must(t, 0, "ASHDOWN, Marged (Mrs)", "Item 4", "1 prescription, 4 items, 1 patient")

	d.write(t, "four-items.signed.json", nil)
	d.run(t, append(d.signing("none.json", "--mock"), files...)...).must(t, 1, "four-items.signed.json exists already")
	d.run(t, d.signing("none.json", "--mock", filepath.Join(dir, "refused-several.json"))...).must(t, 1, "cannot be prepared", "status must be active")
	d.run(t, d.signing("none.json", "--mock", filepath.Join(dir, "signed-time-from-provenance.json"))...).must(t, 1, "signed already")
	d.run(t, d.signing("none.json", "--mock", "--algorithm", "PS256", files[1])...).must(t, 1, "RS256 or RS1 only")
	left, err := filepath.Glob(d.path("*.signed.json"))
	if err != nil || !slices.Equal(left, []string{d.path("four-items.signed.json")}) {
		t.Errorf("got the files %q, %v, want nothing left of what was refused", left, err)
	}
}

// signedPrescription tries what can be done with a signed bundle, the bundle it was made of and the saved signatures.
func (d *desk) signedPrescription(t *testing.T, signed, bundle, signatures string) {
	whole, err := os.ReadFile(d.path(signed))
	if err != nil {
		t.Fatal(err)
	}
	d.run(t, "prescription", "verify", signed, "--issuer", d.Data("pki/authorities/local/root.crt")).must(t, 1, "Certificate not trusted")
	d.write(t, "tampered.json", []byte(strings.Replace(string(whole), "Take one each morning", "Take ten each morning", 1)))
	d.run(t, "prescription", "verify", "tampered.json", "--issuer", d.Data("countersign/mock/ca.crt")).must(t, 1, "Signature doesn't match prescription")
	again := d.run(t, "prescription", "complete", bundle, "--signatures", signatures, "--at", whenSigned(t, whole))
	if again.must(t, 0); again.stdout != string(whole) {
		t.Errorf("complete makes another bundle of %s than sign", bundle)
	}
}

// whenSigned is the time in a signed bundle's Provenance.
func whenSigned(t *testing.T, signed []byte) string {
	t.Helper()
	var bundle struct {
		Entry []struct {
			Resource struct {
				ResourceType string
				Signature    []struct{ When string }
			}
		}
	}
	if err := json.Unmarshal(signed, &bundle); err != nil {
		t.Fatal(err)
	}
	last := bundle.Entry[len(bundle.Entry)-1].Resource
	if last.ResourceType != "Provenance" || len(last.Signature) != 1 {
		t.Fatalf("got the resource %+v, want a Provenance", last)
	}
	return last.Signature[0].When
}
