// Package docs_test checks what the repository says about itself: the rules of docs/contract and their citations.
package docs_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// pages are the pages of docs/contract with the prefix of their rules.
var pages = map[string]string{
	"signing-service.md": "SIG",
	"smartcard-agent.md": "AGT",
	"api-m-token.md":     "TOK",
	"bars.md":            "BAR",
	"prescriptions.md":   "EPS",
}

var (
	citation = regexp.MustCompile(`\b(?:SIG|AGT|TOK|BAR|EPS)-(?:[0-9]+|[A-Z])(?:\.[0-9]+)?\b`)
	section  = regexp.MustCompile(`^## (([A-Z]{3})-(?:[0-9]+|[A-Z])): `)
	rule     = regexp.MustCompile(`^(- |\| )\*\*(([A-Z]{3}-(?:[0-9]+|[A-Z]))\.[0-9]+)\*\* `)
	source   = regexp.MustCompile(`\[(specified|observed|ours)\]`)
	byPage   = regexp.MustCompile(`contract: [a-z]|\b(signing-service|smartcard-agent|api-m-token|bars) §`)
)

// contract holds the numbers of the rules and sections of all pages, with the place of each.
type contract map[string]string

// readPage adds a page's numbers and returns what is wrong with them.
func (c contract) readPage(name, prefix, text string) (faults []string) {
	fault := func(line int, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s:%d: ", name, line+1)+fmt.Sprintf(format, args...))
	}
	define := func(number string, line int) {
		if at, twice := c[number]; twice {
			fault(line, "%s is defined twice, first at %s", number, at)
		}
		c[number] = fmt.Sprintf("%s:%d", name, line+1)
	}
	within, open, at, paragraph := "", "", 0, "" // the section, the rule whose text is being read, its line, the prose above a table
	var body strings.Builder
	end := func() {
		if open != "" && !source.MatchString(body.String()) {
			fault(at, "%s does not say where it comes from: want [specified], [observed] or [ours]", open)
		}
		open = ""
		body.Reset()
	}
	for i, line := range strings.Split(text, "\n") {
		switch {
		case section.MatchString(line):
			end()
			found := section.FindStringSubmatch(line)
			if within = found[1]; found[2] != prefix {
				fault(i, "section %s: want the prefix %s", within, prefix)
			}
			define(within, i)
		case rule.MatchString(line):
			end()
			found := rule.FindStringSubmatch(line)
			if open, at = found[2], i; found[3] != within {
				fault(i, "%s stands in section %s", open, within)
			}
			define(open, i)
			if found[1] == "| " {
				body.WriteString(paragraph)
			}
		case line != "" && strings.Trim(line[:1], "-|# ") != "":
			end()
			paragraph += line + "\n"
			continue
		case strings.HasPrefix(line, "**") || strings.HasPrefix(line, "- ") && within != "":
			end()
			fault(i, "a rule without a number: %q", line)
		}
		if !strings.HasPrefix(line, "|") && line != "" {
			paragraph = ""
		}
		body.WriteString(line + "\n")
	}
	end()
	return faults
}

// dangling returns the citations in a text that name no rule.
func (c contract) dangling(text string) (missing []string) {
	for _, number := range citation.FindAllString(text, -1) {
		if _, known := c[number]; !known && !slices.Contains(missing, number) {
			missing = append(missing, number)
		}
	}
	return missing
}

func readContract(t *testing.T) contract {
	t.Helper()
	rules := contract{}
	for name, prefix := range pages {
		text, err := os.ReadFile(filepath.Join(gateway.Root(t), "docs", "contract", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range rules.readPage(name, prefix, string(text)) {
			t.Error("docs/contract/" + fault)
		}
	}
	return rules
}

// TestContract checks that no rule's number is used twice, that each rule stands in its section and says where it
// comes from, and that every citation in the tree resolves.
func TestContract(t *testing.T) {
	rules := readContract(t)
	cited := 0
	for name, text := range sources(t) {
		for _, number := range rules.dangling(text) {
			t.Errorf("%s cites %s, which docs/contract does not define", name, number)
		}
		if strings.HasSuffix(name, ".go") && name != "test/docs/contract_test.go" {
			cited += len(citation.FindAllString(text, -1))
			if by := byPage.FindString(text); by != "" {
				t.Errorf("%s cites the contract as %q, want a rule's number such as SIG-5.1", name, by)
			}
		}
	}
	if cited < 100 {
		t.Errorf("got %d citations in the Go files, want 100 at least: is the whole tree read?", cited)
	}
}

// TestContractFaults checks that TestContract finds what it looks for.
func TestContractFaults(t *testing.T) {
	for name, c := range map[string]struct{ page, want string }{
		"twice":    {"## SIG-1: A\n\n- **SIG-1.1** a [ours]\n- **SIG-1.1** b [ours]\n", "defined twice"},
		"section":  {"## SIG-1: A\n\n- **SIG-2.1** a [ours]\n", "stands in section"},
		"prefix":   {"## TOK-1: A\n", "want the prefix"},
		"source":   {"## SIG-1: A\n\n- **SIG-1.1** a\n  b\n- **SIG-1.2** c [ours]\n", "SIG-1.1 does not say"},
		"row":      {"## SIG-1: A\n\n| **SIG-1.1** | a |\n", "SIG-1.1 does not say"},
		"unmarked": {"## SIG-1: A\n\n- a [ours]\n", "without a number"},
	} {
		if got := strings.Join(contract{}.readPage("page.md", "SIG", c.page), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	if got := (contract{"SIG-1": "", "SIG-1.1": ""}).dangling("(SIG-1, SIG-1.1, SIG-1.12)"); !slices.Equal(got, []string{"SIG-1.12"}) {
		t.Errorf("dangling: got %q, want SIG-1.12 alone", got)
	}
	if got := (contract{}).readPage("page.md", "SIG", "## SIG-1: A\n\nRows are [ours].\n\n| Rule | What |\n|---|---|\n| **SIG-1.1** | a |\n| **SIG-1.2** | b |\n"); got != nil {
		t.Errorf("rows whose paragraph says where they come from: got %q, want no faults", got)
	}
}

// sources are the text files of the repository by their path.
func sources(t *testing.T) map[string]string {
	t.Helper()
	root := gateway.Root(t)
	texts := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{".git", "node_modules", "testdata", "bin", "dist"}, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || bytes.IndexByte(text, 0) >= 0 {
			return err
		}
		texts[filepath.ToSlash(name)] = string(text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}
