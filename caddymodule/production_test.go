package caddymodule_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/caddymodule"
)

// TestProductionTable holds the table of docs/operators.md to be the code's, line by line.
func TestProductionTable(t *testing.T) {
	page, err := os.ReadFile("../docs/operators.md")
	if err != nil {
		t.Fatal(err)
	}
	const head = "| refused in production | why | instead | taken all the same with |\n|---|---|---|---|\n"
	_, rows, found := strings.Cut(string(page), head)
	if !found {
		t.Fatalf("docs/operators.md has no table that begins with\n%s", head)
	}
	rows, _, _ = strings.Cut(rows, "\n\n")
	var want strings.Builder
	for _, rule := range caddymodule.ProductionRules() {
		word := "nothing"
		if rule.Word != "" {
			word = "`" + rule.Word + "`"
		}
		fmt.Fprintf(&want, "| %s | %s | %s | %s |\n", escaped(rule.Refuses), escaped(rule.Why), escaped(rule.Instead), word)
	}
	if got, want := strings.TrimSpace(rows), strings.TrimSpace(want.String()); got != want {
		t.Errorf("the table of docs/operators.md is\n%s\n\nwant, from ProductionRules,\n%s", got, want)
	}
}

func escaped(text string) string { return strings.ReplaceAll(text, "<", "&lt;") }

// TestProductionRules holds every rule of the table to be one that refuses some configuration: a golden file expects its
// words. A rule that can be taken has one that takes it.
func TestProductionRules(t *testing.T) {
	var refused, taken strings.Builder
	files, err := filepath.Glob("testdata/validate/*test")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		input, want, _ := strings.Cut(string(text), divider)
		refused.WriteString(want)
		if strings.TrimSpace(want) == "valid" {
			taken.WriteString(input)
		}
	}
	var names []caddymodule.Rule
	for _, rule := range caddymodule.ProductionRules() {
		if slices.Contains(names, rule.Name) {
			t.Errorf("the rule %s is there twice", rule.Name)
		}
		names = append(names, rule.Name)
		if !strings.Contains(refused.String(), "is refused in production: "+rule.Why) {
			t.Errorf("no golden file expects the refusal of %s: %s", rule.Name, rule.Why)
		}
		words := strings.Fields(rule.Word)
		if len(words) > 0 && !strings.Contains(taken.String(), words[len(words)-1]) {
			t.Errorf("no valid golden file has %s", rule.Word)
		}
	}
}
