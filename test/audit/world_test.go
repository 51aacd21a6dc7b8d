// Package audit_test proves from outside, on the built binary, what the audit log shows to somebody who does not trust the
// gateway: with the commands that an auditor has, against what a thief on its machine can do to the files.
//
// It imports nothing of the product. Logs are forged by hand.
package audit_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

const (
	person   = "555086689106"
	patience = 3 * time.Minute
)

// acmeKey is the client's. All tests share it, since it takes a while to make.
var acmeKey gateway.Key

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "countersign-audit-")
	if err == nil {
		acmeKey, err = gateway.MakeKey(dir, 4096)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return m.Run()
}

const template = `{
` + gateway.Options + `	metrics
	countersign {
		environment int
		audit {
			%[2]s
		}
		client acme {
			key acme-1 %[1]s
			callback http://localhost:9/signed
			products signing
			%[3]s
		}
		product signing {
			scopes urn:nhsd:apim:app:level3:signing-service
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /signing/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/signing
			access open
			status_key secret
			mock https://localhost:{$PORT_AGENT} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust mock
			}
		}
	}
	handle_path /oauth2/* {
		apim_token {
			public_url http://localhost:{$PORT_GATEWAY}/oauth2
			status_key secret
		}
	}
}

https://localhost:{$PORT_AGENT} {
` + gateway.DemandMutualTLS + `	smartcard_agent mock {
		allow_client gateway.countersign.internal
	}
}
`

// world is a gateway whose audit log is in a directory of its own.
type world struct {
	*gateway.Gateway
	t   *testing.T
	dir string // the log's
	now func() time.Time
}

// text is the Caddyfile, with more options of audit and of the client.
func text(dir, audit, client string) string {
	return fmt.Sprintf(template, acmeKey.Public, strings.TrimSpace("dir "+dir+"\n\t\t\tnode gw-1\n\t\t\t"+audit), client)
}

func newWorld(t *testing.T, dir, audit, client string, options ...gateway.Option) *world {
	t.Helper()
	w := &world{t: t, dir: dir, now: time.Now}
	w.Gateway = gateway.Start(t, text(dir, audit, client), options...)
	w.MustNotLog(person)
	return w
}

func (w *world) system() gateway.System {
	return gateway.System{Base: w.URL("GATEWAY", "/signing"), ID: "acme", Kid: "acme-1", Key: acmeKey, Sub: person}
}

// signed has a batch of two signed to the end.
func (w *world) signed() gateway.Accepted {
	w.t.Helper()
	accepted := w.system().Request(w.t, "RS256", "", gateway.Payloads("RS256", 2)...)
	w.MustNotLog(accepted.Token)
	if view := gateway.Visit(w.t, accepted.RedirectURI).SignToEnd(); view.State != "signed" {
		w.t.Fatalf("the session ended as %s", view.State)
	}
	return accepted
}

// token asks for an access token, which takes one record.
func (w *world) token() *http.Response {
	w.t.Helper()
	at := w.URL("GATEWAY", "/oauth2/token")
	jwt := acmeKey.JWT(w.t, map[string]any{"alg": "RS512", "typ": "JWT", "kid": "acme-1"}, map[string]any{
		"iss": "acme", "sub": "acme", "aud": at, "jti": rand.Text(), "exp": w.now().Add(4 * time.Minute).Unix(),
	})
	response, err := http.PostForm(at, url.Values{
		"grant_type": {"client_credentials"}, "client_assertion": {jwt},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	response.Body.Close()
	return response
}

func (w *world) tokens(n int) {
	w.t.Helper()
	for range n {
		if got := w.token(); got.StatusCode != http.StatusOK {
			w.t.Fatalf("a token is answered %d", got.StatusCode)
		}
	}
}

// run runs caddy countersign audit. Standard output is what it answers.
func (w *world) run(args ...string) (stdout string, err error) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), gateway.Binary(w.t), append([]string{"countersign", "audit"}, args...)...)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+filepath.Dir(w.Data("")), "CADDY_ADMIN=localhost:"+w.Port("ADMIN"))
	var out, told bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &told
	err = cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s%s", err, &out, &told)
	}
	return out.String(), err
}

// verdict is the answer of audit verify.
type verdict struct {
	Holds   bool
	Problem string
	Report  struct {
		From                   int
		Removals               []struct{ Entry, Through int }
		Node                   string
		Entries                int
		Heads, Unsigned, Late  int
		Trusted                bool
		KIDs, Vouched, Unknown []string
		Head                   struct{ Number int }
	}
}

// verify checks the exit status and the problem: want is a part of it, or empty for a log that holds.
func (w *world) verify(want string, args ...string) (v verdict) {
	w.t.Helper()
	out, err := w.run(append([]string{"verify", "--json"}, args...)...)
	if jsonErr := json.Unmarshal([]byte(out), &v); jsonErr != nil {
		w.t.Fatalf("audit verify %v says %s (%v, %v)", args, out, err, jsonErr)
	}
	var exit *exec.ExitError
	switch {
	case want == "" && (err != nil || !v.Holds):
		w.t.Errorf("audit verify %v: got %v, %q, want a log that holds", args, err, v.Problem)
	case want != "" && (!asExit(err, &exit) || exit.ExitCode() != 1 || v.Holds || !strings.Contains(v.Problem, want)):
		w.t.Errorf("audit verify %v: got %v, %q, want exit status 1 and %q", args, err, v.Problem, want)
	}
	return v
}

// head is what audit head prints.
func (w *world) head(dir string) string {
	w.t.Helper()
	out, err := w.run("head", "--dir", dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

// status is the part of the admin endpoint's answer that these tests look at.
type status struct {
	Problems []struct{ What, Detail string }
	Audit    struct {
		Node, Error string
		Unsigned    int
		Head        struct {
			Number int
			Hash   string
		}
		Missing []struct{ Node, What string }
		Handed  struct {
			Number int
			Hash   string
			To     string
		}
		Due, Waiting int
		Hold         *struct{ Reason string }
	}
}

// status asks the gateway, which has just started at times.
func (w *world) status() (s status) {
	w.t.Helper()
	var answer gateway.Answer
	if !gateway.Eventually(patience, func() bool {
		answer = gateway.Get(w.t, w.URL("ADMIN", "/countersign/status"), nil)
		return answer.Status == http.StatusOK
	}) {
		w.t.Fatalf("the status is answered %d", answer.Status)
	}
	answer.JSON(w.t, &s)
	return s
}

// problems are what a person should look at.
func (s status) problems() string {
	var all []string
	for _, p := range s.Problems {
		all = append(all, p.What)
	}
	return strings.Join(all, "; ")
}

// awaitProblem waits until the status tells nothing but this; empty: nothing.
func (w *world) awaitProblem(want string) {
	w.t.Helper()
	got := ""
	if !gateway.Eventually(patience, func() bool { got = w.status().problems(); return got == want }) {
		w.t.Errorf("the status tells %q, want %q", got, want)
	}
}

func (w *world) metric(sample string) string {
	w.t.Helper()
	for line := range strings.Lines(string(gateway.Get(w.t, w.URL("ADMIN", "/metrics"), nil).Body)) {
		if rest, found := strings.CutPrefix(line, sample+" "); found {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// copied is a copy of a directory.
func copied(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}
