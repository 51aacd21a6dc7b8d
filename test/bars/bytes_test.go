package bars_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"
)

// Query, body and headers reach the receiver, and its answer the sender, byte for byte (BAR-1.6).
func TestBytes(t *testing.T) {
	w := prepare(t)
	r := &receiver{}
	port := listen(t, r, w.authority.Issue(host("good")), w.authority)
	w.enter("good", host("good"), port, "/tenant%2F1/FHIR/R4/")
	w.start()
	noise := make([]byte, 1<<19)
	_, _ = rand.Read(noise)
	xml := []byte("<Bundle xmlns=\"http://hl7.org/fhir\">\r\n\t<x v='" + hex.EncodeToString(noise) + "'/>\r\n</Bundle>") // over 1 MB

	for _, c := range []struct {
		method, path string
		body         []byte
	}{
		{"POST", "/$process-message", xml},
		{"POST", "/%24process-message?", []byte("{}")},
		{"GET", "/Slot?_include=Slot:schedule&_include=Schedule:actor:Practitioner&start=ge2026-11-22T09:00:00+01:00&start=lt2026-11-23T09%3A00%2B01:00", nil},
		{"GET", "/Slot?a=+%2B%20&b=;&c&&=d&e=%zz&f=é&g=[1]|{2}", nil},
		{"PUT", "/Appointment/A.1-b?x=%2F..%2F", []byte(" { \"resourceType\" : \"Appointment\" }\n")},
		{"PATCH", "/ServiceRequest/%41", []byte("[]")},
		{"DELETE", "/ServiceRequest/1", nil},
	} {
		answer := append([]byte("\xef\xbb\xbf"), c.body...)
		r.will(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `W/"1"`)
			_, _ = w.Write(answer)
		})
		request := w.call(c.method, "/", "good", nil)
		if c.body != nil {
			request = w.call(c.method, "/", "good", bytes.NewReader(c.body))
		}
		request.URL.Opaque = base + c.path
		request.Header["Content-Type"] = []string{"application/fhir+xml; charset=\"utf-8\""}
		request.Header["Accept"] = []string{"application/fhir+json; version=1.2.0", "application/fhir+xml;q=0.5"}
		request.Header["Nhsd-End-User-Organisation"] = []string{"eyJyZXNvdXJjZVR5cGUiOiJPcmdhbml6YXRpb24ifQ=="}
		request.Header["X-Empty"] = []string{""}
		request.Header["Connection"] = []string{"X-Hop"}
		request.Header["X-Hop"] = []string{"for the proxy alone"}
		a := send(t, request)
		got, body, _ := r.got()
		if got == nil {
			t.Fatalf("%s %s: got status %d, body %s", c.method, c.path, a.status, a.body)
		}
		if want := "/tenant%2F1/FHIR/R4" + c.path; got.RequestURI != want || got.Method != c.method {
			t.Errorf("sent %s %s: the receiver got %s %s", c.method, want, got.Method, got.RequestURI)
		}
		if want := fmt.Sprintf("%s:%d", host("good"), port); got.Host != want {
			t.Errorf("%s: got host %s, want %s", c.path, got.Host, want)
		}
		if !bytes.Equal(body, c.body) {
			t.Errorf("%s: the receiver got %d bytes, want %d", c.path, len(body), len(c.body))
		}
		if !bytes.Equal(a.body, answer) || a.header.Get("ETag") != `W/"1"` {
			t.Errorf("%s: got an answer of %d bytes, want %d", c.path, len(a.body), len(answer))
		}
		for _, name := range []string{"Content-Type", "Accept", "Nhsd-End-User-Organisation", "X-Empty", "X-Request-Id", "X-Correlation-Id", "Nhsd-Target-Identifier"} {
			if sent, came := request.Header[name], got.Header[name]; len(sent) != len(came) || sent[0] != came[0] {
				t.Errorf("%s: header %s: sent %q, the receiver got %q", c.path, name, sent, came)
			}
		}
		for _, name := range []string{"Authorization", "X-Hop", "Accept-Encoding"} {
			if len(got.Header[name]) > 0 {
				t.Errorf("%s: header %s: the receiver got %q", c.path, name, got.Header[name])
			}
		}
		if got.TLS == nil || len(got.TLS.PeerCertificates) == 0 || got.TLS.PeerCertificates[0].Subject.CommonName != "proxy.int.test.nhs.uk" || got.TLS.ServerName != host("good") {
			t.Errorf("%s: the receiver got no proxy certificate, or another server name", c.path)
		}
	}
}
