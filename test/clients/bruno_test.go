package clients_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// TestBruno runs the collection with Bruno's own program: a token and a request, signed by its scripts; then, once the person
// has signed, a token and the fetch.
func TestBruno(t *testing.T) {
	w := newWorld(t, []string{"bruno"})
	key := strings.ReplaceAll(string(read(t, w.key.Private)), "\n", "") // as a field of one line has it
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	bru := func(args ...string) (output string, statuses []int) {
		report := filepath.Join(t.TempDir(), "report.json")
		cmd := exec.Command(filepath.Join(here, "node_modules", ".bin", "bru"), append(append([]string{"run"}, args...),
			"--env", "local", "--reporter-json", report, "--env-var", "signing_url="+w.proxy.url+"/signing",
			"--env-var", "token_url="+w.proxy.url+"/oauth2/token", "--env-var", "client_id=bruno-quiet", "--env-var", "kid=kit-1", "--env-var", "key="+key)...)
		cmd.Dir = filepath.Join(gateway.Root(t), "examples", "clients", "bruno")
		cmd.Env = append(os.Environ(), "NO_COLOR=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		var runs []struct {
			Results []struct {
				Response struct{ Status int }
			}
		}
		if err := json.Unmarshal(read(t, report), &runs); err != nil {
			t.Fatal(err)
		}
		for _, result := range runs[0].Results {
			statuses = append(statuses, result.Response.Status)
		}
		return string(out), statuses
	}
	out, statuses := bru("1-token.bru", "2-request.bru", "3-fetch.bru")
	if len(statuses) != 3 || statuses[0] != 200 || statuses[1] != 200 || statuses[2] != 400 {
		t.Fatalf("got the answers %v, want 200, 200, 400:\n%s", statuses, out)
	}
	redirect := after(out, "open")
	if view := gateway.Visit(t, redirect).SignToEnd(); view.State != "signed" {
		t.Fatalf("got the state %s, want signed", view.State)
	}
	out, statuses = bru("1-token.bru", "3-fetch.bru", "--env-var", "token="+queryOf(t, redirect).Get("token"))
	if len(statuses) != 2 || statuses[1] != 200 {
		t.Errorf("got the answers %v, want 200, 200:\n%s", statuses, out)
	}
}
