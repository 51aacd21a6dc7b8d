package client

import (
	"errors"
	"slices"
	"testing"
)

func TestVerifyTakesWhatHolds(t *testing.T) {
	card := newCard(t)
	for _, algorithm := range []string{RS1, RS256, PS256} {
		asked := payloads(t, algorithm, 3)
		results, err := Verify(algorithm, asked, card.respond(t, algorithm, asked))
		if err != nil || len(results) != 3 {
			t.Fatalf("%s: got %v, %v", algorithm, results, err)
		}
		for i, r := range results {
			if r != (Result{ID: asked[i].ID, Verified: true}) {
				t.Errorf("%s: got result %+v, want it verified", algorithm, r)
			}
		}
	}
}

func TestVerifyRefusesWhatDoesNot(t *testing.T) {
	card, stranger := newCard(t), newCard(t)
	asked := payloads(t, RS256, 3)
	type change struct {
		name      string
		algorithm string
		change    func(*Response)
		err       error
		verified  []bool // nil: no results at all
	}
	for _, c := range []change{
		{"two signatures swapped, ids in place", RS256, func(r *Response) {
			s := r.Signatures
			s[0].Signature, s[1].Signature = s[1].Signature, s[0].Signature
		}, ErrSignature, []bool{false, false, true}},
		{"reordered", RS256, func(r *Response) {
			s := r.Signatures
			s[0], s[1] = s[1], s[0]
		}, ErrItems, []bool{false, false, true}},
		{"missing", RS256, func(r *Response) { r.Signatures = r.Signatures[:2] }, ErrItems, []bool{true, true, false}},
		{"none", RS256, func(r *Response) { r.Signatures = nil }, ErrItems, []bool{false, false, false}},
		{"extra", RS256, func(r *Response) {
			r.Signatures = append(r.Signatures, Signature{ID: "item-9", Signature: r.Signatures[0].Signature})
		}, ErrItems, []bool{true, true, true}},
		{"one twice", RS256, func(r *Response) { r.Signatures = append(r.Signatures, r.Signatures[0]) }, ErrItems, []bool{true, true, true}},
		{"one twice instead of another", RS256, func(r *Response) { r.Signatures[1] = r.Signatures[0] }, ErrItems, []bool{true, false, true}},
		{"an id in other letters", RS256, func(r *Response) { r.Signatures[1].ID = "ITEM-1" }, ErrItems, []bool{true, false, true}},
		{"one of another payload", RS256, func(r *Response) {
			r.Signatures[2].Signature = card.sign(t, RS256, Payload{ID: "x", Payload: "AAAA"}).Signature
		}, ErrSignature, []bool{true, true, false}},
		{"made with another algorithm", RS256, func(r *Response) { *r = card.respond(t, RS1, asked) }, ErrSignature, []bool{false, false, false}},
		{"PSS for PKCS #1", RS256, func(r *Response) { *r = card.respond(t, PS256, asked) }, ErrSignature, []bool{false, false, false}},
		{"PKCS #1 for PSS", PS256, func(*Response) {}, ErrSignature, []bool{false, false, false}},
		{"empty signature", RS256, func(r *Response) { r.Signatures[0].Signature = "" }, ErrSignature, []bool{false, true, true}},
		{"signature not base64", RS256, func(r *Response) { r.Signatures[0].Signature = "!" }, ErrSignature, []bool{false, true, true}},
		{"signature with a line break", RS256, func(r *Response) { r.Signatures[0].Signature += "\n" }, ErrSignature, []bool{false, true, true}},
		{"another's certificate", RS256, func(r *Response) { r.Certificate = stranger.certificate }, ErrSignature, []bool{false, false, false}},
		{"no certificate", RS256, func(r *Response) { r.Certificate = "" }, ErrCertificate, nil},
		{"truncated certificate", RS256, func(r *Response) { r.Certificate = r.Certificate[:400] }, ErrCertificate, nil},
		{"two certificates", RS256, func(r *Response) { r.Certificate += r.Certificate }, ErrCertificate, nil},
		{"certificate not base64", RS256, func(r *Response) { r.Certificate = "-----BEGIN CERTIFICATE-----" }, ErrCertificate, nil},
		{"certificate of an EC key", RS256, func(r *Response) { r.Certificate = ecCertificate(t) }, ErrCertificate, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			response := card.respond(t, RS256, asked)
			c.change(&response)
			results, err := Verify(c.algorithm, asked, response)
			if !errors.Is(err, c.err) {
				t.Errorf("got error %v, want %v", err, c.err)
			}
			var verified []bool
			for i, r := range results {
				verified = append(verified, r.Verified)
				if r.ID != asked[i].ID || r.Verified == (r.Reason != "") {
					t.Errorf("result %d: got %+v", i, r)
				}
			}
			if !slices.Equal(verified, c.verified) {
				t.Errorf("got verified %v, want %v", verified, c.verified)
			}
		})
	}
}

func TestVerifyRefusesRequestsItCannotJudge(t *testing.T) {
	card := newCard(t)
	good := payloads(t, RS256, 2)
	twice := []Payload{good[0], good[0]}
	for name, c := range map[string]struct {
		algorithm string
		payloads  []Payload
	}{
		"no algorithm":      {"", good},
		"unknown algorithm": {"none", good},
		"no payloads":       {RS256, nil},
		"one id twice":      {RS256, twice},
	} {
		if results, err := Verify(c.algorithm, c.payloads, card.respond(t, RS256, c.payloads)); err == nil || results != nil {
			t.Errorf("%s: got %v, %v", name, results, err)
		}
	}
	response := card.respond(t, RS256, good)
	good[1].Payload = "not base64"
	if results, err := Verify(RS256, good, response); !errors.Is(err, ErrSignature) || results[1].Verified {
		t.Errorf("payload that is not base64: got %v, %v", results, err)
	}
}
