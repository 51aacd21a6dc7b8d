package bars_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// form is what the contract's table says of a detail code: profile, system and the words that the text begins with.
type form struct{ profile, system, words string }

// table reads the rows BAR-5.3 to BAR-5.16 of the contract's page, by "issue / detail code".
var table = sync.OnceValues(func() (map[string]form, error) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "contract", "bars.md"))
	if err != nil {
		return nil, err
	}
	named := map[string]string{
		"P1": "https://simplifier.net/guide/UKCoreDevelopment2/ProfileUKCore-OperationOutcome", "P2": "https://fhir.hl7.org.uk/StructureDefinition/UKCore-OperationOutcome",
		"S1": "https://fhir.nhs.uk/Codesystem/http-error-codes", "S2": "http://hl7.org/fhir/ValueSet/operation-outcome",
	}
	issues := map[string]string{"SEND_FORBIDDEN": "forbidden", "PROXY_NOT_FOUND": "not-found", "REC_FORBIDDEN": "forbidden", "REC_TIMEOUT": "timeout", "REC_SERVICE_UNAVAILABLE": "transient"}
	rows := map[string]form{}
	for _, row := range regexp.MustCompile(`\| \*\*BAR-5\.\d+\*\* \| ([A-Z_]+)(?: \(([a-z0-9-]+)(?:, 406)?\))? \| (P\d), (S\d) \| (.+) \|`).FindAllStringSubmatch(string(page), -1) {
		issue := row[2]
		if issue == "" {
			issue = issues[row[1]]
		}
		rows[issue+" / "+row[1]] = form{named[row[3]], named[row[4]], strings.TrimSuffix(row[5], " …")}
	}
	return rows, nil
})

// mustKeepForm holds an OperationOutcome to the contract's table (BAR-5.1 to BAR-5.16), and to the line about it in the
// log, which has its id.
func mustKeepForm(t *testing.T, body []byte, line map[string]any) {
	t.Helper()
	rows, err := table()
	if err != nil || len(rows) != 14 {
		t.Fatalf("the contract's table: got %d rows, error %v, want 14", len(rows), err)
	}
	var said struct {
		ID   string `json:"id"`
		Meta struct {
			Profile []string `json:"profile"`
		} `json:"meta"`
		Issue []struct {
			Severity string `json:"severity"`
			Code     string `json:"code"`
			Details  struct {
				Coding []struct{ System, Code string } `json:"coding"`
			} `json:"details"`
			Diagnostics string `json:"diagnostics"`
		} `json:"issue"`
	}
	if err := json.Unmarshal(body, &said); err != nil || len(said.Meta.Profile) != 1 || len(said.Issue) != 1 || len(said.Issue[0].Details.Coding) != 1 {
		t.Fatalf("got error %v, body %s", err, body)
	}
	issue := said.Issue[0]
	coding := issue.Details.Coding[0]
	if issue.Severity != "error" || len(said.ID) != 36 || line != nil && line["outcome_id"] != said.ID {
		t.Errorf("got severity %q, id %q, log line %v", issue.Severity, said.ID, line)
	}
	want, listed := rows[issue.Code+" / "+coding.Code]
	if listed && (said.Meta.Profile[0] != want.profile || coding.System != want.system || !strings.HasPrefix(issue.Diagnostics, want.words)) {
		t.Errorf("got profile %s, system %s, text %q, want %+v", said.Meta.Profile[0], coding.System, issue.Diagnostics, want)
	}
}

// Any path and method is the receiver's business, in the version that the sender names; a browser's preflight is answered
// before any check (BAR-5.17 to BAR-5.20).
func TestAnyPathAndMethod(t *testing.T) {
	w := prepare(t)
	r := &receiver{}
	r.will(say(200, "application/fhir+json", "{}"))
	w.enter("good", host("good"), listen(t, r, w.authority.Issue(host("good")), w.authority), "/FHIR/R4")
	w.sites = "\nhttp://localhost:{$PORT_WHOLE} {\n\t" + w.whole() + "\n}\n"
	w.start()

	for _, c := range []struct{ method, path, accept string }{
		{"GET", "/HealthcareService", ""}, {"GET", "/Endpoint", ""}, {"POST", "/Endpoint/$template", ""}, {"GET", "/Organization?identifier=X26", ""},
		{"PUT", "/Slot/1", ""}, {"PATCH", "/Patient/1/_history/2", ""}, {"DELETE", "/a/b/c%2Fd/", ""}, {"HEAD", "/Slot", ""},
		{"OPTIONS", "/Slot", ""}, {"POST", "/", ""}, {"QUERY", "/Slot", ""}, {"POST", "/metadata", ""}, {"GET", "/Appointment/a_b", ""},
		{"GET", "/DocumentReference", "application/fhir+json; version=1.1.0"}, {"POST", "/DocumentReference", "application/fhir+json;version=1.0.0, application/fhir+xml; VERSION=\"1.10.2\";q=0.1"},
		{"GET", "/DocumentReference/1", "application/fhir+json; version=2"}, {"GET", "/DocumentReferences", ""},
	} {
		request := w.call(c.method, "/", "good", nil)
		request.URL.Opaque = base + c.path
		if c.accept != "" {
			request.Header.Set("Accept", c.accept)
		}
		a := send(t, request)
		got, _, count := r.got()
		if a.status != 200 || count != 1 || got.Method != c.method || got.RequestURI != "/FHIR/R4"+c.path {
			t.Errorf("%s %s: got status %d, body %s; the receiver got %+v", c.method, c.path, a.status, a.body, got)
		}
		r.will(say(200, "application/fhir+json", "{}"))
	}
	for _, accept := range []string{"", "application/fhir+json", "application/fhir+json; version=1.0.9", "*/*; version=x", "application/fhir+json; myversion=1.1.0"} {
		request := w.call("POST", "/DocumentReference", "good", nil)
		request.Header.Set("Accept", accept)
		a := send(t, request)
		if codes, _ := a.outcome(); a.status != 406 || codes != "processing / SEND_NOT_ACCEPTABLE" {
			t.Errorf("Accept %q: got status %d, body %s", accept, a.status, a.body)
			continue
		}
		mustKeepForm(t, a.body, w.line("BaRS request failed", request.Header.Get("X-Request-Id")))
	}
	for _, path := range []string{"/Slot/../x", "/%2e%2e/x", "/a%2F..%2fb", "/..;v=1/x", "/a/."} {
		request := w.at("WHOLE", w.call("GET", "/", "good", nil)) // handle_path cleans paths before the proxy sees them
		request.URL.Opaque = base + path
		a := send(t, request)
		if codes, _ := a.outcome(); a.status != 404 || codes != "not-found / NOT_FOUND" {
			t.Errorf("%s: got status %d, body %s", path, a.status, a.body)
		}
	}
	if _, _, count := r.got(); count != 0 {
		t.Errorf("got %d refused requests at the receiver, want none", count)
	}

	preflight := must(http.NewRequest("OPTIONS", w.URL("GATEWAY", base+"/Appointment"), http.NoBody))
	preflight.Header.Set("Origin", "https://app.example.nhs.uk")
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	if a := send(t, preflight); a.status != 200 || a.header.Get("Access-Control-Allow-Origin") != "https://app.example.nhs.uk" ||
		!strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "PATCH") || !strings.Contains(a.header.Get("Access-Control-Allow-Headers"), "nhsd-target-identifier") {
		t.Errorf("a preflight: got status %d, headers %v", a.status, a.header)
	}
	preflight.Header.Del("Access-Control-Request-Method")
	if a := send(t, preflight); a.status != 401 {
		t.Errorf("an OPTIONS that is no preflight: got status %d, want 401", a.status)
	}

	t.Run("the whole site", func(t *testing.T) {
		for path, status := range map[string]int{
			"/": 404, "/other": 404, "/booking-and-referral/FHIR/R5/Slot": 404, base + "x/Slot": 404,
			base + "/_ping": 200, base + "/metadata": 200, base: 401, base + "/Slot": 401,
		} {
			request := must(http.NewRequest("GET", w.URL("WHOLE", "/"), http.NoBody))
			request.URL.Opaque = path
			a := send(t, request)
			if codes, _ := a.outcome(); a.status != status || status == 404 && codes != "not-found / NOT_FOUND" {
				t.Errorf("%s: got status %d, body %s, want %d", path, a.status, a.body, status)
			}
		}
		if a := send(t, w.at("WHOLE", w.call("GET", "/Slot?a=b", "good", nil))); a.status != 200 {
			t.Errorf("got status %d, body %s", a.status, a.body)
		}
		if got, _, _ := r.got(); got == nil || got.RequestURI != "/FHIR/R4/Slot?a=b" {
			t.Errorf("the receiver got %+v", got)
		}
	})
}
