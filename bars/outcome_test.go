package bars_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-dd2befc3/countersign/bars"
)

func TestOutcomeIsWritten(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/Slot", nil)
	r.Header.Set("X-Request-Id", "id-1")
	r.Header.Set("X-Correlation-Id", "id-2")
	w := httptest.NewRecorder()
	outcome := &bars.Outcome{Status: 408, Issue: "timeout", Code: "REC_TIMEOUT", Text: "The receiver took too long.", More: "It is slow.", ID: "id-3", Fault: bars.FaultReceiver}
	outcome.With("after %d s", 32).Write(w, r)

	if w.Code != 408 || w.Header().Get("Content-Type") != "application/fhir+json" ||
		w.Header().Get("X-Request-Id") != "id-1" || w.Header().Get("X-Correlation-Id") != "id-2" {
		t.Errorf("got status %d, headers %v", w.Code, w.Header())
	}
	var said, want any
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"resourceType":"OperationOutcome","id":"id-3",
		"meta":{"profile":["https://simplifier.net/guide/UKCoreDevelopment2/ProfileUKCore-OperationOutcome"]},
		"issue":[{"severity":"error","code":"timeout",
		"details":{"coding":[{"system":"https://fhir.nhs.uk/Codesystem/http-error-codes","code":"REC_TIMEOUT"}]},
		"diagnostics":"The receiver took too long. It is slow."}]}`), &want); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(said) != fmt.Sprint(want) {
		t.Errorf("got body %s", w.Body)
	}
	if codes := bars.Codes(w.Body.Bytes()); len(codes) != 1 || codes[0] != "REC_TIMEOUT" {
		t.Errorf("got codes %q", codes)
	}
	if !bars.IsOutcome(w.Body.Bytes()) {
		t.Error("IsOutcome = false, want true")
	}
}

func TestHeadHasNoBody(t *testing.T) {
	w := httptest.NewRecorder()
	(&bars.Outcome{Status: 404}).Write(w, httptest.NewRequest(http.MethodHead, "/Slot", nil))
	if w.Body.Len() != 0 {
		t.Errorf("got body %s, want none", w.Body)
	}
}

func TestIsOutcome(t *testing.T) {
	for body, is := range map[string]bool{
		`{"resourceType":"OperationOutcome","issue":[]}`:                                        true,
		"\xef\xbb\xbf \n{\"issue\":[],\"resourceType\":\"OperationOutcome\"}":                   true,
		`<?xml version="1.0"?><!-- a --><OperationOutcome xmlns="http://hl7.org/fhir"/>`:        true,
		`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"OperationOutcome"}}]}`:  false,
		`{"resourceType":"OperationOutcome"`:                                                    false,
		`<Bundle xmlns="http://hl7.org/fhir"><resource><OperationOutcome/></resource></Bundle>`: false,
		`<html>OperationOutcome</html>`:                                                         false,
		`OperationOutcome`:                                                                      false,
		``:                                                                                      false,
	} {
		if bars.IsOutcome([]byte(body)) != is {
			t.Errorf("IsOutcome(%q): want %v", body, is)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	outcome := &bars.Outcome{Code: "REC_TIMEOUT"}
	if bars.OutcomeOf(fmt.Errorf("so: %w", outcome)) != outcome || bars.OutcomeOf(fmt.Errorf("none")) != nil {
		t.Error("OutcomeOf does not find the outcome in an error's chain")
	}
}
