package command

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

func TestStatus(t *testing.T) {
	answer := `{"problems":[],"environment":"int","version":{"version":"v1.2.3"},"store":{"open":true}}`
	admin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/countersign/status" {
			t.Errorf("asked: %s %s", r.Method, r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer)) // or the command fails
	}))
	defer admin.Close()
	run := func(more ...string) outcome {
		return execute(t, statusCommand(), append(more, "--address", strings.TrimPrefix(admin.URL, "http://"))...)
	}
	if well := run(); well.err != nil || well.stdout != "Nothing is wrong with this gateway (int, v1.2.3).\n" {
		t.Errorf("where all is well: %q %v", well.stdout, well.err)
	}
	answer = strings.Replace(answer, "[]", `[{"what":"The session store refuses reads or writes","detail":"no space\u001b[2J left"},{"what":"Webhooks of client acme are dead letters"}]`, 1)
	said := run()
	if said.err == nil {
		t.Error("with problems the exit status is 0")
	}
	const want = "To look at, on this gateway (int, v1.2.3):\n\n" +
		"- The session store refuses reads or writes\n  \"no space\\x1b[2J left\"\n- Webhooks of client acme are dead letters\n"
	if said.stdout != want {
		t.Errorf("got %s\nwant %s", said.stdout, want)
	}
	var read adminapi.Status
	if run("--json").json(t, &read); len(read.Problems) != 2 || read.Problems[1].What != "Webhooks of client acme are dead letters" || read.Environment != "int" {
		t.Errorf("%+v", read)
	}
	admin.Close()
	if gone := run(); gone.err == nil || gone.stdout != "" {
		t.Errorf("of a gateway that is down: %q %v", gone.stdout, gone.err)
	}
}
