package journey_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// Every direct requirement has a line that says why, and no line outlives its requirement.
func TestEveryDependencyIsExplained(t *testing.T) {
	root := gateway.Root(t)
	out, err := gateway.Run(nil, "go", "mod", "edit", "-json", filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	direct := map[string]bool{}
	for _, r := range mod.Require {
		if !r.Indirect {
			direct[r.Path] = true
			if !strings.Contains(string(page), "\n| `"+r.Path+"` | ") {
				t.Errorf("docs/dependencies.md has no line for %s", r.Path)
			}
		}
	}
	if len(direct) == 0 {
		t.Fatal("go.mod names no direct requirement")
	}
	for line := range strings.SplitSeq(string(page), "\n") {
		if module, found := strings.CutPrefix(line, "| `"); found {
			if module, _, _ = strings.Cut(module, "`"); !direct[module] {
				t.Errorf("docs/dependencies.md explains %s, which go.mod does not require directly", module)
			}
		}
	}
}
