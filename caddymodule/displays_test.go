package caddymodule

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/eps"
)

// A difference is a problem that says who, when and how much, in the words of the alert rule.
func TestDifferenceIsAProblem(t *testing.T) {
	var found problemList
	found.differing(nil, 0)
	if len(found) != 0 {
		t.Fatalf("without a difference: %+v", found)
	}
	found.differing(&eps.Difference{Time: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC), Client: "acme", Type: "0101", Items: 2}, 7)
	rules, err := os.ReadFile("../monitoring/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || !strings.Contains(string(rules), "summary: "+found[0].What+"\n") {
		t.Fatalf("the alert rules have no words for %+v", found)
	}
	for _, part := range []string{"7 since", "2026-11-30T12:00:00Z", "client acme", `type "0101"`, "items 2"} {
		if !strings.Contains(found[0].Detail, part) {
			t.Errorf("the detail %q has no %q", found[0].Detail, part)
		}
	}
}
