package build_test

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestRelease makes a release for this machine alone; `make release` makes it for all.
func TestRelease(t *testing.T) {
	root, dist := gateway.Root(t), t.TempDir()
	target := runtime.GOOS + "/" + runtime.GOARCH
	// Untrimmed, so that nothing is compiled that the other builds have compiled already.
	commit := head(t, root)
	run(t, root, []string{"DIST=" + dist, "TRIMPATH="}, "scripts/release", target)
	run(t, dist, nil, "sha256sum", "--check", "--strict", "SHA256SUMS")

	suffix := "-" + strings.ReplaceAll(target, "/", "-")
	for name, c := range map[string]struct{ with, not []string }{
		"countersign" + suffix:       {slices.Concat(ours, postgres), mocks},
		"countersign-trial" + suffix: {slices.Concat(ours, mocks, postgres), nil},
	} {
		t.Run(name, func(t *testing.T) {
			binary := filepath.Join(dist, name)
			mustBeStatic(t, binary)
			mustHave(t, binary, c.with, c.not)
			mustBeStamped(t, root, commit, binary)
			mustBeListed(t, binary)
		})
	}
}

// head is the commit that is checked out.
func head(t *testing.T, root string) string {
	t.Helper()
	return strings.TrimSpace(run(t, root, nil, "git", "-c", "safe.directory=*", "rev-parse", "HEAD"))
}

// mustBeStamped holds what a binary says it was built from to the checkout, which may have gone on meanwhile.
func mustBeStamped(t *testing.T, root, commit, binary string) {
	t.Helper()
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" })
	if i < 0 || !strings.HasPrefix(info.Main.Version, "v") {
		t.Fatalf("it says it is %s: %v", info.Main.Version, info.Settings)
	}
	run(t, root, nil, "git", "-c", "safe.directory=*", "merge-base", "--is-ancestor", commit, info.Settings[i].Value)
	if said := run(t, root, nil, binary, "version"); !strings.HasPrefix(said, "countersign-") || !strings.Contains(said, " v2.") {
		t.Errorf("it says it is %s", said)
	}
}

// mustBeListed holds a binary's bill of materials to the binary.
func mustBeListed(t *testing.T, binary string) {
	t.Helper()
	text, err := os.ReadFile(binary + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	type component struct {
		Ref     string `json:"bom-ref"`
		Version string
		PURL    string
		Hashes  []struct{ Alg, Content string }
	}
	var bill struct {
		BOMFormat    string
		SpecVersion  string
		SerialNumber string
		Metadata     struct{ Component component }
		Components   []component
		Dependencies []struct{ DependsOn []string }
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&bill); err != nil {
		t.Fatal(err)
	}
	if bill.BOMFormat != "CycloneDX" || bill.SpecVersion != "1.6" || !strings.HasPrefix(bill.SerialNumber, "urn:uuid:") {
		t.Errorf("it is %s %s %s", bill.BOMFormat, bill.SpecVersion, bill.SerialNumber)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(content)
	if h := bill.Metadata.Component.Hashes; len(h) != 1 || h[0].Alg != "SHA-256" || h[0].Content != hex.EncodeToString(digest[:]) {
		t.Errorf("it is of another binary: %v", h)
	}
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, c := range bill.Components {
		if listed[c.PURL] || c.Ref != c.PURL {
			t.Errorf("%s is listed twice, or under another name", c.PURL)
		}
		listed[c.PURL] = true
	}
	for _, module := range info.Deps {
		if purl := "pkg:golang/" + module.Path + "@" + strings.ReplaceAll(module.Version, "+", "%2B"); !listed[purl] {
			t.Errorf("%s is missing", purl)
		}
	}
	if want := len(info.Deps) + 1; len(bill.Components) != want || len(bill.Dependencies) != 1 || len(bill.Dependencies[0].DependsOn) != want {
		t.Errorf("%d components are listed; there are %d modules and the standard library", len(bill.Components), len(info.Deps))
	}
}

// TestUnit has systemd itself read the unit, and asks how exposed the service would be.
func TestUnit(t *testing.T) {
	root := gateway.Root(t)
	text, err := os.ReadFile(filepath.Join(root, "packaging", "countersign.service"))
	if err != nil {
		t.Fatal(err)
	}
	const installed = "/usr/local/bin/countersign"
	if !strings.Contains(string(text), "ExecStart="+installed+" run") {
		t.Fatal("the unit starts something else")
	}
	unit := filepath.Join(t.TempDir(), "countersign.service")
	// systemd wants the program to be there.
	if err := os.WriteFile(unit, bytes.ReplaceAll(text, []byte(installed), []byte("/bin/true")), 0o600); err != nil {
		t.Fatal(err)
	}
	const systemd = "systemd-analyze" //nolint:misspell // its name
	run(t, root, nil, systemd, "verify", "--man=no", unit)
	// 2.0 of 10 at most: a service that may bind low ports and speak to the network, and little else.
	run(t, root, nil, systemd, "security", "--offline=yes", "--threshold=20", "--no-pager", unit)

	page, err := os.ReadFile(filepath.Join(root, "docs", "installing.md"))
	if err != nil || !bytes.Contains(page, []byte(installed)) {
		t.Errorf("docs/installing.md installs it elsewhere than the unit starts it from (%v)", err)
	}
}
