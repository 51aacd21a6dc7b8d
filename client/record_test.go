package client

import (
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

func record(t *testing.T) Record {
	t.Helper()
	asked := payloads(t, RS256, 3)
	now := time.Now().UTC()
	return Record{
		Service: "http://localhost/signing-service", Client: "acme", Sub: "555086689106", Algorithm: RS256,
		Requested: now, Received: now, Payloads: asked, Response: newCard(t).respond(t, RS256, asked),
	}
}

// TestRecord saves, parses and checks a record, and records with each kind of problem.
func TestRecord(t *testing.T) {
	whole := record(t)
	leaf, err := whole.Response.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := newCardResponse(t).Leaf()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change  func(*Record)
		options CheckOptions
		want    string // a part of the one problem; empty: no problem
	}{
		"sound":                    {},
		"its own issuer":           {options: CheckOptions{Issuers: []*x509.Certificate{leaf}}},
		"another issuer":           {options: CheckOptions{Issuers: []*x509.Certificate{stranger}}, want: "not issued by"},
		"a changed payload":        {change: func(r *Record) { r.Payloads[1] = NewPayload(r.Payloads[1].ID, []byte("else")) }, want: "a signature does not verify: 1 of 3"},
		"a missing item":           {change: func(r *Record) { r.Response.Signatures = r.Response.Signatures[:2] }, want: "do not match the request"},
		"a certificate of another": {change: func(r *Record) { r.Sub = "555000000000" }, want: "not that of 555000000000"},
		"any user":                 {change: func(r *Record) { r.Sub = "555000000000" }, options: CheckOptions{AnyUser: true}},
		"expired then":             {change: func(r *Record) { r.Received = leaf.NotAfter.Add(time.Second) }, want: "was not valid"},
		"not valid yet":            {change: func(r *Record) { r.Received = leaf.NotBefore.Add(-time.Second) }, want: "was not valid"},
		"out of time, right issuer": {change: func(r *Record) { r.Received = leaf.NotAfter.Add(time.Hour) },
			options: CheckOptions{Issuers: []*x509.Certificate{leaf}}, want: "was not valid"},
		"no certificate": {change: func(r *Record) { r.Response.Certificate = "YQ==" }, want: "certificate of the response"},
	} {
		t.Run(name, func(t *testing.T) {
			file, err := whole.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			r, err := ParseRecord(file)
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(&r)
			}
			got := r.Check(c.options)
			if told := strings.Join(got.Problems, "\n"); (c.want == "") != (told == "") || !strings.Contains(told, c.want) || strings.Count(told, "\n") > 0 {
				t.Fatalf("problems: %s\nwant %q", told, c.want)
			}
		})
	}
}

func newCardResponse(t *testing.T) Response {
	t.Helper()
	return Response{Certificate: newCard(t).certificate}
}

func TestParseRecordRefusesOtherFiles(t *testing.T) {
	for _, text := range []string{"", "{", `{"format":"countersign-signatures/2"}`, `{"signatures":[]}`,
		`{"format":"countersign-signatures/1","format":"countersign-signatures/1"}`} {
		if _, err := ParseRecord([]byte(text)); err == nil {
			t.Errorf("%q: got no error, want one", text)
		}
	}
}

func TestNewPayload(t *testing.T) {
	if p := NewPayload("a", []byte{0xff}); p.ID != "a" || p.Payload != base64.StdEncoding.EncodeToString([]byte{0xff}) {
		t.Errorf("got payload %+v", p)
	}
}
