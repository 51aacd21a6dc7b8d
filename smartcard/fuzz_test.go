package smartcard

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

// Whatever an agent sends, there is no panic, and a result only with one signature for each id of the job, each of
// which was reported as it arrived.
func FuzzAnswer(f *testing.F) {
	job := Job{Payloads: []Payload{{ID: "a", Payload: []byte("1")}, {ID: "b", Payload: []byte("2")}}}
	cert := Event{Certificate: []byte("cert")}.Line()
	a, b := Event{ID: "a", Signature: []byte("sa")}.Line(), Event{ID: "b", Signature: []byte("sb")}.Line()
	done := Event{Done: &Done{Signed: 2}}.Line()
	for _, seed := range [][][]byte{
		{cert, a, b, done}, {cert, b, a, done}, {cert, a, a, done}, {cert, a, done}, {a, cert, b, done}, {cert, cert, a, b, done},
		{cert, a, Event{ID: "b", Failure: &Failure{Code: "0x53494705", Message: "No smartcard"}}.Line()}, {cert, a, b, done, done},
		{cert, a, b, []byte(`{"done":true,"signed":2,"failed":0,"signed":2}` + "\n")}, {[]byte("{\"id\":\"\xff\"}\n")},
	} {
		f.Add(slices.Concat(seed...))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var heard []string
		result, err := readAnswer(bytes.NewReader(text), job, func(e Event) {
			if e.Signature != nil {
				heard = append(heard, e.ID)
			}
		})
		if err != nil {
			if result != nil {
				t.Fatal("got a result and an error")
			}
			return
		}
		slices.Sort(heard)
		if !slices.Equal(heard, []string{"a", "b"}) || len(result.Certificate) == 0 || len(result.Signatures) != 2 {
			t.Fatalf("got a result after items %q", heard)
		}
		// The more lenient standard library must find the same signatures in the text.
		want := map[string][]byte{}
		for line := range bytes.Lines(text) {
			var l struct {
				ID        string
				Signature []byte
			}
			if json.Unmarshal(line, &l) == nil && l.Signature != nil {
				want[l.ID] = l.Signature
			}
		}
		if got := map[string][]byte{"a": result.Signatures[0], "b": result.Signatures[1]}; !reflect.DeepEqual(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

// Whatever a gateway sends, there is no panic, and a parsed job is valid and survives a round trip.
func FuzzJob(f *testing.F) {
	f.Add([]byte(`{"job":"0b5c5fd8-8a5f-4b46-8a5b-3d8de2d0a1f7","sub":"555086689106","client":"Acme","algorithm":"RS256","payloads":[{"id":"a","payload":"YQ=="}]}`))
	f.Add([]byte(`{"job":"0b5c5fd8-8a5f-4b46-8a5b-3d8de2d0a1f7","sub":"1","client":"","algorithm":"PS256","payloads":[{"id":"a","payload":"YQ=="},{"id":"A","payload":"YQ=="}]} `))
	f.Add([]byte(`{"sub":"1","SUB":"2"}`))
	f.Add([]byte(`{"payloads":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		job, err := parseJob(body)
		if err != nil {
			return
		}
		if err := job.Validate(); err != nil {
			t.Fatalf("parsed an invalid job: %v", err)
		}
		again, err := json.Marshal(job)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseJob(again); err != nil || !reflect.DeepEqual(back, job) {
			t.Fatalf("the job does not survive a round trip: %v", err)
		}
	})
}
