package docs_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

var (
	named   = regexp.MustCompile("((?:`(?:Test|Fuzz)[A-Za-z0-9]+`(?:, )?)+) in `([a-z0-9/]+)`")
	attack  = regexp.MustCompile(`(?m)^\| [^|]+ \| .*(?:Test[A-Z]|test/)`)
	inTicks = regexp.MustCompile("`([A-Za-z0-9]+)`")
)

// missingTests returns the tests that a page names and no package has, and how many it names.
func missingTests(root, page string) (missing []string, count int) {
	for _, m := range named.FindAllStringSubmatch(page, -1) {
		var source bytes.Buffer
		files, _ := filepath.Glob(filepath.Join(root, m[2], "*_test.go"))
		for _, file := range files {
			text, _ := os.ReadFile(file)
			source.Write(text)
		}
		for _, name := range inTicks.FindAllStringSubmatch(m[1], -1) {
			count++
			if !strings.Contains(source.String(), "\nfunc "+name[1]+"(") {
				missing = append(missing, name[1]+" in "+m[2])
			}
		}
	}
	return missing, count
}

// Each attack that docs/security.md tells of names a test that is there, so that a reader can repeat it.
func TestAttacksHaveTests(t *testing.T) {
	root := gateway.Root(t)
	page, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	missing, count := missingTests(root, string(page))
	for _, name := range missing {
		t.Errorf("docs/security.md names %s, which is not there", name)
	}
	if rows := len(attack.FindAllString(string(page), -1)); count < rows || rows == 0 {
		t.Errorf("got %d tests named by %d attacks, want at least one for each", count, rows)
	}
}

func TestMissingTestIsFound(t *testing.T) {
	missing, count := missingTests(gateway.Root(t), "| x | `TestAttacksHaveTests`, `TestThatIsNot` in `test/docs` |")
	if count != 2 || len(missing) != 1 || missing[0] != "TestThatIsNot in test/docs" {
		t.Errorf("got %q of %d, want TestThatIsNot of 2", missing, count)
	}
}
