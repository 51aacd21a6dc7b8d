package command_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// saved is the part of a file of signatures that the tests look at.
type saved struct {
	Algorithm string            `json:"algorithm"`
	Payloads  []gateway.Payload `json:"payloads"`
	Response  gateway.Signed    `json:"response"`
}

// TestCommands goes through a day of a developer and an operator: signing, verifying, looking at sessions, and asking
// why something was refused.
func TestCommands(t *testing.T) {
	d := newDesk(t)
	t.Run("sign with the mock", d.signWithMock)
	t.Run("sign prepared prescriptions", d.signPrepared)
	t.Run("sign in a browser", d.signInBrowser)
	t.Run("sign with an access token", d.signWithToken)
	t.Run("sign fails", d.signFails)
	t.Run("verify", d.verify)
	t.Run("sessions", d.sessions)
	t.Run("why", d.why)
	t.Run("admin endpoint", d.admin)
	t.Run("digests of prescriptions", d.digests)
	t.Run("sign prescriptions", d.prescriptions)
	t.Run("nobody there", func(t *testing.T) {
		d.run(t, "sessions", "--address", fmt.Sprint("127.0.0.1:", gateway.FreePort(t))).must(t, 1, "no gateway answers", "--address")
		d.run(t, "why").must(t, 1)
		d.run(t, "nonsense").must(t, 1, `unknown command "nonsense"`, "--help")
		d.run(t).must(t, 0, "Available Commands", "verify")
	})
}

// signWithMock signs three files of any kind.
func (d *desk) signWithMock(t *testing.T) {
	var files []string
	for i := range 3 {
		files = append(files, d.write(t, fmt.Sprintf("letter-%d.txt", i), fmt.Appendf(nil, "letter %d", i)))
	}
	got := d.run(t, append(d.signing("letters.json", "--mock"), files...)...)
	got.must(t, 0, "3 to be signed with RS256", "3 of 3 signed", "letter-2.txt", "3 of 3 signatures verified", "Everything holds")
	d.mustBeRight(t, "letters.json", "RS256", "letter-0.txt", "letter-1.txt", "letter-2.txt")
}

// signPrepared signs saved answers of $prepare, with the algorithm that they name.
func (d *desk) signPrepared(t *testing.T) {
	var files []string
	for i := range 2 {
		info := gateway.SignedInfo("RS1", "", fmt.Appendf(nil, "prescription %d", i))
		parameters, err := json.Marshal(map[string]any{"resourceType": "Parameters", "id": fmt.Sprint("rx-", i), "parameter": []map[string]any{
			{"name": "digest", "valueString": base64.StdEncoding.EncodeToString(info)},
			{"name": "timestamp", "valueDateTime": "2026-11-22T10:00:00Z"},
			{"name": "algorithm", "valueString": "RS1"},
			{"name": "display", "valueString": "Amoxicillin"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, d.write(t, fmt.Sprintf("prepared-%d.json", i), parameters))
	}
	got := d.run(t, append(d.signing("prescriptions.json", "--mock", "--json"), files...)...)
	got.must(t, 0)
	var verdict struct {
		Holds bool
		Items []struct {
			ID       string
			Verified bool
		}
	}
	if got.json(t, &verdict); !verdict.Holds || len(verdict.Items) != 2 || verdict.Items[1].ID != "rx-1" || !verdict.Items[1].Verified {
		t.Errorf("said %s", got.stdout)
	}
	d.mustBeRight(t, "prescriptions.json", "RS1", "rx-0", "rx-1")
}

// signInBrowser prints the page's address and waits until a person has signed there.
func (d *desk) signInBrowser(t *testing.T) {
	cmd := d.command(t, append(d.signing("browser.json", "--no-browser"), d.write(t, "by-hand.txt", []byte("by hand")))...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		if _, address, found := strings.Cut(lines.Text(), "open this address to sign: "); found {
			if view := gateway.Visit(t, address).SignToEnd(); view.State != "signed" {
				t.Fatalf("the page ended with %+v", view)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	d.mustBeRight(t, "browser.json", "RS256", "by-hand.txt")
}

// signWithToken signs where the service wants access tokens: with one that sign gets itself, with one that the command
// token got, and not without.
func (d *desk) signWithToken(t *testing.T) {
	tokens := d.URL("GATEWAY", "/oauth2/token")
	sign := func(out string, more ...string) []string {
		return append(d.signing(out, "--url", d.URL("GATEWAY", "/guarded"), "--mock"), more...)
	}
	letter := d.write(t, "guarded.txt", []byte("guarded"))
	d.run(t, sign("none.json", letter)...).must(t, 1, "answered 401, access_token")
	d.run(t, sign("guarded.json", "--token-url", tokens, letter)...).must(t, 0, "Everything holds")
	d.mustBeRight(t, "guarded.json", "RS256", "guarded.txt")

	got := d.run(t, "token", "--url", tokens, "--client", "acme", "--kid", "acme-1", "--key", d.key.Private)
	got.must(t, 0)
	d.MustNotLog(strings.TrimSpace(got.stdout))
	d.run(t, sign("bearer.json", "--bearer", strings.TrimSpace(got.stdout), letter)...).must(t, 0, "Everything holds")
	d.run(t, sign("none.json", "--kid", "acme-7", "--token-url", tokens, letter)...).must(t, 1, "What to do:")
}

// signFails holds exit status and words where nothing can be signed; no file is left.
func (d *desk) signFails(t *testing.T) {
	letter := d.write(t, "letter.txt", []byte("letter"))
	stranger := d.signing("none.json", "--mock", letter)
	for i, arg := range stranger {
		if arg == "acme-1" {
			stranger[i] = "acme-9"
		}
	}
	d.run(t, stranger...).must(t, 1, "answered 401, kid", "request ")
	d.run(t, d.signing("none.json", "--mock", "--algorithm", "PS256", letter)...).must(t, 1, "answered 400, algorithm")
	got := d.run(t, d.signing("none.json", "--mock", "--json", d.path("missing"))...)
	var told struct{ Error string }
	if got.json(t, &told); got.code != 1 || !strings.Contains(told.Error, "no such file") {
		t.Errorf("%+v", got)
	}
	d.run(t, "sign", letter).must(t, 1, "required flag")
	if _, err := os.Stat(d.path("none.json")); !os.IsNotExist(err) {
		t.Errorf("a file is left: %v", err)
	}
}

// mustBeRight holds a saved file to OpenSSL's verdict.
func (d *desk) mustBeRight(t *testing.T, name, algorithm string, ids ...string) {
	t.Helper()
	file := d.read(t, name)
	if file.Algorithm != algorithm || len(file.Payloads) != len(ids) {
		t.Fatalf("%s: %s, %d payloads", name, file.Algorithm, len(file.Payloads))
	}
	for i, id := range ids {
		if file.Payloads[i].ID != id {
			t.Errorf("item %d is %q, want %q", i, file.Payloads[i].ID, id)
		}
	}
	file.Response.Verify(t, algorithm, file.Payloads)
}

func (d *desk) read(t *testing.T, name string) saved {
	t.Helper()
	data, err := os.ReadFile(d.path(name))
	if err != nil {
		t.Fatal(err)
	}
	var file saved
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

// verify checks what was saved, as it is and tampered with.
func (d *desk) verify(t *testing.T) {
	authority := d.Data("countersign/mock/ca.crt")
	d.run(t, "verify", "letters.json", "--issuer", authority).must(t, 0, "letter-1.txt", "3 of 3 signatures verified", "Everything holds", person)
	data, err := os.ReadFile(d.path("letters.json"))
	if err != nil {
		t.Fatal(err)
	}
	was, is := base64.StdEncoding.EncodeToString([]byte("letter 1")), base64.StdEncoding.EncodeToString([]byte("letter 9"))
	d.write(t, "tampered.json", []byte(strings.Replace(string(data), was, is, 1)))
	d.run(t, "verify", "tampered.json").must(t, 1, "NOT VERIFIED", "2 of 3 signatures verified", "Use none of these signatures")
	got := d.run(t, "verify", "tampered.json", "--json")
	var verdict struct {
		Holds    bool
		Problems []string
	}
	if got.json(t, &verdict); got.code != 1 || verdict.Holds || len(verdict.Problems) != 1 || got.stderr != "" {
		t.Errorf("%+v", got)
	}
	d.write(t, "another.json", []byte(strings.Replace(string(data), `"sub": "`+person, `"sub": "555000000000`, 1)))
	d.run(t, "verify", "another.json").must(t, 1, "not that of 555000000000")
	d.run(t, "verify", "another.json", "--any-user").must(t, 0, "Everything holds")
	local := d.Data("pki/authorities/local/root.crt")
	d.run(t, "verify", "letters.json", "--issuer", local).must(t, 1, "not issued by one of the issuers")
	d.run(t, "verify", "letter.txt").must(t, 1, "not a file of saved signatures")
}

// sessions lists what was signed above and explains one that waits.
func (d *desk) sessions(t *testing.T) {
	d.run(t, "sessions").must(t, 0, "SESSION", "acme", "signed", "5 sessions")
	system := gateway.System{Base: d.URL("GATEWAY", "/main"), ID: "acme", Kid: "acme-1", Key: d.key, Sub: person}
	accepted := system.Request(t, "RS256", "", gateway.Payloads("RS256", 2)...)
	var list struct {
		Sessions []struct{ ID, State string }
	}
	got := d.run(t, "sessions", "--json", "--state", "created")
	if got.json(t, &list); len(list.Sessions) != 1 || list.Sessions[0].State != "created" {
		t.Fatalf("%+v", got)
	}
	one := d.run(t, "sessions", list.Sessions[0].ID)
	one.must(t, 0, "nobody has opened its signing page yet", "redirectUri", "2, to be signed with RS256")
	for _, text := range []string{got.stdout, one.stdout} {
		if strings.Contains(text, accepted.Token) || strings.Contains(text, person) {
			t.Errorf("tells too much: %s", text)
		}
	}
	d.run(t, "sessions", "none").must(t, 1, "no session has this id")
}

// why asks after three requests that were refused, of the gateway and of its log.
func (d *desk) why(t *testing.T) {
	system := gateway.System{Base: d.URL("GATEWAY", "/main"), ID: "acme", Kid: "acme-1", Key: d.key, Sub: person}
	claims := system.Claims("RS256", gateway.Payloads("RS256", 1)...)
	refused := map[string][]string{} // request id: what is said of it
	for id, c := range map[string]struct {
		jwt  string
		want []string
	}{
		"why-aud": {d.key.JWT(t, system.Header(), gateway.With(claims, "aud", "https://elsewhere.example")),
			[]string{"acme", "claim aud", system.Base, "https://elsewhere.example", "public_url"}},
		"why-late": {d.key.JWT(t, system.Header(), gateway.With(claims, "exp", time.Now().Add(-time.Hour).Unix())),
			[]string{"acme", "claim exp", "after 20", "Compare the clocks"}},
		"why-kid": {d.key.JWT(t, gateway.With(system.Header(), "kid", "acme-7"), claims),
			[]string{"acme", "header kid", "acme-7", "/countersign/status"}},
	} {
		request, err := http.NewRequest(http.MethodPost, system.Base+"/signaturerequest", strings.NewReader(c.jwt))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "text/plain")
		request.Header.Set("X-Request-Id", id)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		refused[id] = c.want
		for _, part := range strings.Split(c.jwt, ".")[1:] {
			d.MustNotLog(part)
		}
	}
	// The log comes through a pipe, perhaps not by whole lines, and the gateway remembers after it has answered.
	var lines string
	if !gateway.Eventually(time.Minute, func() bool {
		said := d.Output()
		lines = said[:strings.LastIndex(said, "\n")+1]
		return !slices.ContainsFunc(slices.Collect(maps.Keys(refused)), func(id string) bool {
			return !strings.Contains(lines, id) || gateway.Get(t, d.URL("ADMIN", "/countersign/refusals/"+id), nil).Status != http.StatusOK
		})
	}) {
		t.Fatal("the log, or the gateway, does not tell of every refusal")
	}
	log := d.write(t, "caddy.log", []byte(lines))
	for id, want := range refused {
		want = append(want, id, "What to do:")
		d.run(t, "why", id).must(t, 0, want...)
		d.run(t, "why", id, "--log", log).must(t, 0, want...)
		var list struct {
			Refusals []struct{ RequestID, Check, Expected, Got, Answer string }
		}
		got := d.run(t, "why", id, "--json")
		if got.json(t, &list); len(list.Refusals) != 1 || list.Refusals[0].RequestID != id || list.Refusals[0].Expected == "" || list.Refusals[0].Got == "" {
			t.Errorf("%+v", got)
		}
		if strings.Contains(got.stdout, person) {
			t.Errorf("names the person: %s", got.stdout)
		}
	}
	d.run(t, "why", "why-not").must(t, 1, "no request with this id")
	d.run(t, "why", "why-not", "--log", log).must(t, 1, "has no refused request")
}

// admin looks at the endpoint itself: ready while the gateway runs, and status with everything that there is.
func (d *desk) admin(t *testing.T) {
	for _, path := range []string{"live", "ready"} {
		if answer := gateway.Get(t, d.URL("ADMIN", "/countersign/"+path), nil); answer.Status != http.StatusOK {
			t.Errorf("%s: %d %s", path, answer.Status, answer.Body)
		}
	}
	var status struct {
		Environment string
		Store       struct{ Open bool }
		Services    []struct {
			Status string
			Checks map[string]struct{ Status string }
		}
	}
	gateway.Get(t, d.URL("ADMIN", "/countersign/status"), nil).JSON(t, &status)
	if status.Environment != "int" || !status.Store.Open || len(status.Services) != 2 || status.Services[0].Status != "pass" || len(status.Services[0].Checks) != 4 { // agent, audit, revocation, store
		t.Errorf("status %+v", status)
	}
}
