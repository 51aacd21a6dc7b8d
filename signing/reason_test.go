package signing

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/seed-dd2befc3/countersign/certificates"
)

// Every reason has its sentences, and is in the description of the wire; every refusal of a certificate is a reason.
func TestReasons(t *testing.T) {
	var described struct {
		Components struct {
			Schemas struct{ ReasonCode struct{ Enum []string } }
		}
	}
	text, err := os.ReadFile("openapi/openapi.json")
	if err == nil {
		err = json.Unmarshal(text, &described)
	}
	if err != nil {
		t.Fatal(err)
	}
	codes := described.Components.Schemas.ReasonCode.Enum
	for code, reason := range reasons {
		if reason.Title == "" || reason.Text == "" {
			t.Errorf("%s has no sentence for the person", code)
		}
		if !slices.Contains(codes, code) {
			t.Errorf("%s is not in the description of the wire", code)
		}
	}
	for _, code := range certificates.Codes() {
		reason, known := reasons[string(code)]
		if !known {
			t.Errorf("%s has no sentences", code)
		}
		if refusal := (&certificates.Refusal{Code: code}); reason.Retry != refusal.Retry() {
			t.Errorf("%s: the person may try again: %v", code, reason.Retry)
		}
	}
}
