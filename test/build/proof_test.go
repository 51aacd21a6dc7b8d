package build_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestProof runs scripts/proof on campaigns of a commit of its own: in batches, on from where it was interrupted, and with
// a failed batch told again each time.
func TestProof(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"scripts", "test"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	script, err := os.ReadFile(filepath.Join(gateway.Root(t), "scripts", "proof"))
	if err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(t.TempDir(), "made")
	for name, text := range map[string]string{
		"scripts/proof": string(script),
		".gitignore":    "/.proof/\n",
		"test/campaigns": "# a comment\n\n" +
			"five 5 2 echo five $N >>" + made + "\n" +
			"two  2 1 echo two $N >>" + made + "; [ ! -e " + made + ".stop ] || kill $PPID\n" +
			"bad  1 1 echo bad $N >>" + made + "; exit 3\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	git := func(args ...string) {
		run(t, dir, nil, "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.nhs.uk", "-c", "commit.gpgsign=false"}, args...)...)
	}
	git("init", "--quiet")
	git("add", ".")
	git("commit", "--quiet", "--message", "one")

	// prove runs it, and compares what was made since, and what it says in the end.
	prove := func(wantMade, wantSaid string, wantCode int, args ...string) {
		t.Helper()
		_ = os.Remove(made)
		cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "scripts", "proof"), args...)
		cmd.Env = append(os.Environ(), "COUNT=")
		said, _ := cmd.CombinedOutput()
		got, _ := os.ReadFile(made)
		if text := strings.ReplaceAll(string(got), "\n", ", "); text != wantMade || cmd.ProcessState.ExitCode() != wantCode || !strings.Contains(string(said), wantSaid) {
			t.Errorf("proof %v made %q and ended with %d, want %q and %d; it says, want %q:\n%s",
				args, text, cmd.ProcessState.ExitCode(), wantMade, wantCode, wantSaid, said)
		}
	}
	prove("", "no campaign six", 2, "six")
	prove("five 2, five 2, five 1, ", "five: 5 of 5, in failed batches 0", 0, "five")
	if err := os.WriteFile(made+".stop", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	prove("two 1, ", "", -1) // interrupted in its first batch, which does not count
	if err := os.Remove(made + ".stop"); err != nil {
		t.Fatal(err)
	}
	prove("two 1, two 1, bad 1, ", "bad: 1 of 1, in failed batches 1", 1)
	prove("", "bad: 1 of 1, in failed batches 1", 1)
	prove("", "two: 2 of 2, in failed batches 0", 0, "two")
	if err := os.WriteFile(filepath.Join(dir, "test", "new"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	prove("", "a proof is of a commit", 2)
}
