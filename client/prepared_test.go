package client

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	rs1, _, err := SignedInfo(RS1, []byte("<p/>"))
	if err != nil {
		t.Fatal(err)
	}
	digest := base64.StdEncoding.EncodeToString(rs1)
	parameters := func(members string) string {
		return `{"resourceType":"Parameters","id":"rx-1","parameter":[` + members + `]}`
	}
	prepared := parameters(`{"name":"display","valueString":"a\nb"},{"name":"digest","valueString":"` + digest +
		`"},{"name":"timestamp","valueDateTime":"2026-11-22T10:00:00Z"},{"name":"algorithm","valueString":"RS1"}`)
	for name, c := range map[string]struct {
		in, id, algorithm, payload, err string
	}{
		"an answer of $prepare": {in: prepared, id: "rx-1", algorithm: RS1, payload: string(rs1)},
		"with white space":      {in: "\n " + prepared + "\n", id: "rx-1", algorithm: RS1, payload: string(rs1)},
		"a SignedInfo":          {in: string(rs1), algorithm: RS1, payload: string(rs1)},
		"any bytes":             {in: "\x00any", payload: "\x00any"},
		"other JSON":            {in: `{"a":1}`, payload: `{"a":1}`},
		"a method that is not ours": {in: strings.Replace(string(rs1), "rsa-sha1", "dsa-sha1", 1),
			payload: strings.Replace(string(rs1), "rsa-sha1", "dsa-sha1", 1)},
		"an OperationOutcome":  {in: `{"resourceType":"OperationOutcome"}`, err: "OperationOutcome"},
		"another resource":     {in: `{"resourceType":"Bundle"}`, err: "Bundle"},
		"no digest":            {in: parameters(`{"name":"algorithm","valueString":"RS1"}`), err: "digest"},
		"a digest not base64":  {in: parameters(`{"name":"digest","valueString":"*"},{"name":"algorithm","valueString":"RS1"}`), err: "digest"},
		"no algorithm":         {in: parameters(`{"name":"digest","valueString":"` + digest + `"}`), err: "algorithm"},
		"two digests":          {in: parameters(`{"name":"digest","valueString":"` + digest + `"},{"name":"digest","valueString":"` + digest + `"}`), err: "duplicate"},
		"two algorithms mixed": {in: parameters(`{"name":"digest","valueString":"` + digest + `"},{"name":"algorithm","valueString":"RS256"}`), err: "SignedInfo for RS1"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Read([]byte(c.in))
			if c.err != "" {
				if !errors.Is(err, ErrPrepare) || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil || got.ID != c.id || got.Algorithm != c.algorithm || string(got.Payload) != c.payload {
				t.Fatalf("got %q %q %q %v", got.ID, got.Algorithm, got.Payload, err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Parameters","parameter":[{"name":"digest","valueString":"YQ=="},{"name":"algorithm","valueString":"RS1"}]}`))
	f.Add([]byte(`<SignedInfo`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Read(data)
		if err == nil && len(got.Payload) == 0 && len(data) > 0 {
			t.Fatalf("got no error for %q, which has nothing to sign", data)
		}
	})
}
