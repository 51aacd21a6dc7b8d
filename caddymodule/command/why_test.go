package command

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/caddymodule/adminapi"
)

// aLog is what Caddy writes, and what may stand between.
const aLog = `2026/11/22 10:00:00.000	INFO	using config from file
{"level":"info","ts":1795341600.25,"logger":"http.handlers.signing_service","msg":"request refused","endpoint":"/signaturerequest","client":"acme","code":"claims","status":400,"check":"claim aud","expected":"https://a","got":"https://b","answer":"JWT payload is not valid. \"aud\" must be [https://a]","detail":"","request_id":"req-1","correlation_id":"corr-1"}
{"level":"info","ts":"2026-11-22T10:00:01.5Z","logger":"http.handlers.signing_service","msg":"request refused","endpoint":"/signaturerequest","client":"","code":"kid","status":401,"check":"claim iss","expected":"the id of a client","got":"nobody","answer":"No key","detail":"","request_id":"req-2","correlation_id":"corr-1"}
{"level":"info","msg":"signing request accepted","session":"0123abcd","request_id":"req-3"}
{"level":"warn","ts":1795341603,"msg":"signing run ended","session":"0123abcd456789ef0123abcd456789ef","job":"j","agent":"cards","client":"acme","items":3,"try":1,"outcome":"wrong_pin","detail":"the agent says wrong_pin"}
{"level":"info","ts":1795341604,"msg":"signing run ended","session":"0123abcd456789ef0123abcd456789ef","agent":"cards","client":"acme","outcome":"signed"}
{"level":"info","msg":"signatures fetched","session":"0123abcd","request_id":"req-4"}
{"level":"info","ts":1795341602,"msg":"token request refused","status":400,"error":"public_key error","description":"kid is unknown","detail":"client acme","message_id":"m-1"}
{"msg":"request refused","request_id":"req-5","status":"broken
`

func TestWhyFromALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "caddy.log")
	long := strings.Repeat("x", maxLine*2+10) + "\n"
	if err := os.WriteFile(path, []byte(long+aLog+`{"msg":"request refused","request_id":"last","status":500,"code":"internal"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string][]string{
		"req-1":        {"Refused", "2026-11-22 10:00:00 UTC", "acme", "claim aud", "https://a", "https://b", "400 claims: JWT payload", "public_url"},
		"req-2":        {"claim iss", "2026-11-22 10:00:01 UTC", "nobody", "add client <id>"},
		"corr-1":       {"req-1", "req-2"},
		"m-1":          {"m-1", "400 public_key error: kid is unknown", "client acme", "must correct what its answer says"},
		"0123abcd4567": {"0123abcd456789ef", "agent cards", "wrong_pin", "the agent says wrong_pin", "Detail says what the agent"},
		"last":         {"500 internal", "a defect of the gateway"},
	} {
		said := execute(t, whyCommand(), "--log", path, id)
		if said.err != nil {
			t.Fatalf("%s: %v", id, said.err)
		}
		mustSay(t, said.stdout, want...)
	}
	for id, want := range map[string]string{
		"req-3": "it was accepted as session 0123abcd", "req-4": "has no refused request", "req-5": "has no refused request", "0123abcd45": "has no refused request", "": "has no refused request",
	} {
		said := execute(t, whyCommand(), "--log", path, id)
		if said.err == nil || !strings.Contains(said.stderr, want) {
			t.Errorf("%s: %v %s", id, said.err, said.stderr)
		}
	}
	if said := execute(t, whyCommand(), "--log", path+".1", "req-1"); said.err == nil {
		t.Error("a log that is not there")
	}
	stdin := whyCommand()
	stdin.SetIn(strings.NewReader(aLog))
	said := execute(t, stdin, "--log", "-", "req-1", "--json")
	var found adminapi.RefusalList
	if said.json(t, &found); said.err != nil || len(found.Refusals) != 1 || found.Refusals[0].Got != "https://b" || found.Refusals[0].Time.Unix() != 1795341600 {
		t.Errorf("%v %+v", said.err, found)
	}
}

// TestAdviceIsDocumented holds the page of refused requests to what the command says.
func TestAdviceIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/refused-requests.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, known := range advices() {
		text := strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(known.text)
		fmt.Fprintf(&table, "| `%s` | %s |\n", known.of, text)
	}
	if !strings.Contains(string(page), table.String()) {
		t.Errorf("docs/refused-requests.md should hold\n%s", &table)
	}
}
