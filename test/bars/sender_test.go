package bars_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// sender configures an application's route to the proxy. Each reload drops cached tokens, because no two
// configurations are equal.
func (w *world) sender(options string) string {
	w.sites = fmt.Sprintf(`
http://localhost:{$PORT_SENDER} {
	apim_sender {
		token_url http://localhost:{$PORT_GATEWAY}/oauth2/token
		replay %d
		%s
	}
}
`, 1<<20+len(w.sites), options)
	return w.sites
}

// ask makes a request of an application that knows only the target.
func (w *world) ask(method, path, value, body string) *http.Request {
	r := must(http.NewRequest(method, w.URL("SENDER", path), strings.NewReader(body)))
	r.Header.Set("NHSD-Target-Identifier", target(value))
	return r
}

// The sender's preset: token, ids, headers, and what is repeated (BAR-2).
func TestSender(t *testing.T) {
	w := prepare(t)
	r := &receiver{}
	r.will(say(200, "application/fhir+json", "{}"))
	w.enter("good", host("good"), listen(t, r, w.authority.Issue(host("good")), w.authority), "/r")
	const organisation = `{"resourceType":"Organization","name":"A & B"}`
	who := "client sender\n\t\tkey sender-1 " + w.key.Private
	preset := "\n\t\torganisation `" + organisation + "`\n\t\tsoftware `{\"resourceType\":\"Device\"}`\n\t\tbars {\n\t\t\tbase_url http://localhost:{$PORT_GATEWAY}" + base + "\n\t\t\tversion 1.2.0\n\t\t\t%s\n\t\t}"
	w.sender(who + fmt.Sprintf(preset, ""))
	w.start()

	t.Run("what it adds", func(t *testing.T) {
		if a := send(t, w.ask("GET", "/Slot?a=+%2B&a=$", "good", "")); a.status != 200 {
			t.Fatalf("got status %d, body %s", a.status, a.body)
		}
		got, _, _ := r.got()
		if got.RequestURI != "/r/Slot?a=+%2B&a=$" {
			t.Errorf("the receiver got %s", got.RequestURI)
		}
		for name, want := range map[string]string{
			"Accept":                     "application/fhir+json; version=1.2.0",
			"NHSD-End-User-Organisation": base64.StdEncoding.EncodeToString([]byte(organisation)),
			"NHSD-Requesting-Software":   base64.StdEncoding.EncodeToString([]byte(`{"resourceType":"Device"}`)),
		} {
			if got.Header.Get(name) != want {
				t.Errorf("header %s: the receiver got %q", name, got.Header.Get(name))
			}
		}
		if len(got.Header.Get("X-Request-Id")) != 36 || len(got.Header.Get("X-Correlation-Id")) != 36 {
			t.Errorf("got ids %q and %q", got.Header.Get("X-Request-Id"), got.Header.Get("X-Correlation-Id"))
		}
	})
	t.Run("an update's correlation id is not made up", func(t *testing.T) {
		for _, request := range []*http.Request{
			w.ask("PUT", "/Appointment/1", "good", `{"resourceType":"Appointment"}`), w.ask("DELETE", "/Appointment/1", "good", ""),
			w.ask("POST", "/$process-message", "good", `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"MessageHeader","reason":{"coding":[{"code":"update"}]}}}]}`),
		} {
			if codes, _ := send(t, request).outcome(); codes != "invalid / BAD_REQUEST" {
				t.Errorf("%s: got codes %s", request.Method, codes)
			}
		}
	})
	t.Run("sent again", func(t *testing.T) {
		for _, c := range []struct {
			method, path string
			status, want int
			count        int
		}{
			{"GET", "/Slot", 503, 200, 2},
			{"GET", "/Slot", 408, 200, 2},
			{"GET", "/Slot", 500, 500, 1},
			{"GET", "/Slot", 401, 401, 1}, // the receiver's own, which a new token does not fix
			{"POST", "/$process-message", 503, 503, 1},
			{"POST", "/Appointment", 503, 503, 1},
		} {
			var asked atomic.Int32
			ids := make(chan string, 5)
			r.will(func(w http.ResponseWriter, r *http.Request) {
				ids <- r.Header.Get("X-Request-Id") + " " + r.Header.Get("X-Correlation-Id")
				if asked.Add(1) == 1 {
					say(c.status, "application/fhir+json", theirs)(w, r)
					return
				}
				say(200, "application/fhir+json", "{}")(w, r)
			})
			request := w.ask(c.method, c.path, "good", "{}")
			if c.method == "GET" {
				request = w.ask(c.method, c.path, "good", "")
			}
			if a := send(t, request); a.status != c.want || int(asked.Load()) != c.count {
				t.Errorf("%s %s after %d: got status %d, %d requests at the receiver", c.method, c.path, c.status, a.status, asked.Load())
			}
			if first := <-ids; c.count == 2 && first != <-ids {
				t.Error("a repeated request has other ids, want the same")
			}
		}
	})
	t.Run("messages where that is asked for", func(t *testing.T) {
		w.sender(who + fmt.Sprintf(preset, "retry_messages"))
		w.Reload(w.caddyfile())
		var asked atomic.Int32
		bodies := make(chan string, 5)
		r.will(func(w http.ResponseWriter, r *http.Request) {
			bodies <- ""
			if asked.Add(1) == 1 {
				w.WriteHeader(503)
			}
		})
		if a := send(t, w.ask("POST", "/$process-message", "good", `{"resourceType":"Parameters"}`)); a.status != 200 || asked.Load() != 2 {
			t.Errorf("got status %d after %d requests", a.status, asked.Load())
		}
		if _, body, _ := r.got(); string(body) != `{"resourceType":"Parameters"}` {
			t.Errorf("got %q the second time", body)
		}
	})
	t.Run("a token that the proxy has forgotten", func(t *testing.T) {
		r.will(say(200, "application/fhir+json", "{}"))
		send(t, w.ask("GET", "/Slot", "good", ""))
		w.Stop()
		w.Restart() // the store is in memory, so all tokens are lost
		if a := send(t, w.ask("GET", "/Slot", "good", "")); a.status != 200 {
			t.Errorf("got status %d, body %s", a.status, a.body)
		}
	})
	t.Run("no proxy there", func(t *testing.T) {
		w.sender(who + fmt.Sprintf(strings.Replace(preset, "{$PORT_GATEWAY}", fmt.Sprint(gateway.FreePort(t)), 1), "tries 1"))
		w.Reload(w.caddyfile())
		a := send(t, w.ask("GET", "/Slot", "good", ""))
		if codes, _ := a.outcome(); a.status != 502 || codes != "transient / PROXY_SERVICE_UNAVAILABLE" {
			t.Errorf("got status %d, body %s", a.status, a.body)
		}
	})
	t.Run("a proxy that says nothing", func(t *testing.T) {
		w.sender(who + fmt.Sprintf(strings.Replace(preset, "{$PORT_GATEWAY}", fmt.Sprint(accept(t, silence)), 1), "tries 1\n\t\t\ttimeout 1s"))
		w.Reload(w.caddyfile())
		a := send(t, w.ask("GET", "/Slot", "good", ""))
		if codes, _ := a.outcome(); a.status != 504 || codes != "timeout / PROXY_TIMEOUT" {
			t.Errorf("got status %d, body %s", a.status, a.body)
		}
	})
	t.Run("a key for each provider", func(t *testing.T) {
		w.sender("provider_by {header.X-Provider}\n\t\tprovider one {\n\t\t\tclient sender\n\t\t\tkey sender-1 " + w.key.Private +
			"\n\t\t}\n\t\tprovider two {\n\t\t\tclient second\n\t\t\tkey sender-1 " + w.key.Private + "\n\t\t}" + fmt.Sprintf(preset, ""))
		w.Reload(w.caddyfile())
		for provider, client := range map[string]string{"one": "sender", "two": "second"} {
			request := w.ask("GET", "/Slot", "nobody", "")
			request.Header.Set("X-Provider", provider)
			request.Header.Set("X-Request-Id", "provider-"+provider)
			if a := send(t, request); a.status != 404 {
				t.Errorf("%s: got status %d, body %s", provider, a.status, a.body)
			}
			if line := w.line("BaRS request failed", "provider-"+provider); line["client"] != client {
				t.Errorf("%s: got client %v at the proxy", provider, line["client"])
			}
		}
		request := w.ask("GET", "/Slot", "good", "")
		request.Header.Set("X-Provider", "three")
		if a := send(t, request); a.status != 400 {
			t.Errorf("an unknown provider: got status %d, body %s", a.status, a.body)
		}
	})
}

// Both directions of a referral, each over its own environment's chain; a proxy of one chain reaches no receiver of
// the other.
func TestTwoEnvironments(t *testing.T) {
	w := prepare(t)
	production := barstest.NewAuthority(t, "PROD")
	chain := production.WriteChain(w.file("prod-chain.pem"))
	barstest.Write(t, w.dir, "prod-proxy", production.Issue("proxy.prod.test.nhs.uk"))
	there, here := &receiver{}, &receiver{}
	there.will(say(200, "application/fhir+json", `{"leg":1}`))
	here.will(say(200, "application/fhir+json", `{"leg":2}`))
	w.enter("there", host("there"), listen(t, there, w.authority.Issue(host("there")), w.authority), "")
	prodHost := "bars-prod-here.test.thirdparty.nhs.uk"
	port := listen(t, here, production.Issue(prodHost), production)
	w.enter("here", prodHost, port, "") // in the catalogue of the wrong environment
	w.sites = fmt.Sprintf(`
http://localhost:{$PORT_PROD} {
	handle_path %s/* {
		bars_proxy {
			environment prod
			target %s here https://%s:%d
			resolve %[3]s 127.0.0.1
			tls_client_auth %[5]s %[6]s
			tls_trust_pool file %[7]s
		}
	}
}
`, base, system, prodHost, port, w.file("prod-proxy.pem"), w.file("prod-proxy.key"), chain)
	w.start()
	leg := func(site, to string) answer {
		t.Helper()
		return send(t, w.at(site, w.call("POST", "/$process-message", to, strings.NewReader(`{"resourceType":"Bundle"}`))))
	}
	if a := leg("GATEWAY", "there"); a.status != 200 || string(a.body) != `{"leg":1}` {
		t.Errorf("the referral: got status %d, body %s", a.status, a.body)
	}
	if a := leg("PROD", "here"); a.status != 200 || string(a.body) != `{"leg":2}` {
		t.Errorf("the response: got status %d, body %s", a.status, a.body)
	}
	if a := leg("GATEWAY", "here"); a.status != 503 {
		t.Errorf("over the other chain: got status %d, body %s", a.status, a.body)
	}
	if !gateway.Eventually(patience, func() bool {
		return strings.Contains(w.Output(), "break the naming rules") && strings.Contains(w.Output(), "of the environment prod")
	}) {
		t.Error("want a warning of the wrong environment's name")
	}
}

// The sandbox needs no configuration, and its built-in receiver answers.
func TestSandbox(t *testing.T) {
	w := prepare(t)
	plain := serveHTTP(t, say(200, "text/plain", "plain"))
	w.sites = fmt.Sprintf(`
http://localhost:{$PORT_SANDBOX} {
	handle_path %s/* {
		bars_proxy {
			environment sandbox
			status_key s3cret
			target %s 1 %s/x/
		}
	}
}
`, base, system, plain)
	w.start()
	call := func(method, path, value, body string) answer {
		t.Helper()
		request := must(http.NewRequest(method, w.URL("SANDBOX", base+path), strings.NewReader(body)))
		if value != "" {
			request.Header.Set("NHSD-Target-Identifier", target(value))
		}
		return send(t, request)
	}
	const known = "d0b6a2d7-4f0e-4b39-9c5e-2a4f6f6ad5a1"
	for _, c := range []struct {
		method, path, value, body string
		status                    int
		says                      string
	}{
		{"GET", "/_status", "", "", 401, `"Access Denied"`},
		{"GET", "/metadata", "", "", 200, "proxy"},
		{"GET", "/metadata", "2000072489", "", 200, "built into"},
		{"GET", "/MessageDefinition", "2000", "", 200, "servicerequest-request"},
		{"GET", "/Slot", "2000", "", 200, `"status":"free"`},
		{"POST", "/$process-message", "2000", `{"resourceType":"Bundle","type":"message","entry":[{"resource":{"resourceType":"MessageHeader","id":"m1"}}]}`, 200, `"identifier":"m1"`},
		{"POST", "/$process-message", "2000", `{"resourceType":"Bundle","id":"b1","type":"message","entry":[{"resource":{"resourceType":"MessageHeader"}}]}`, 200, `"identifier":"b1"`},
		{"POST", "/$process-message", "2000", "", 200, `"code":"ok"`},
		{"POST", "/$process-message", "2000", "\xef\xbb\xbf<?xml version=\"1.0\"?><Bundle xmlns=\"http://hl7.org/fhir\"><type value=\"message\"/><entry><resource><MessageHeader><id value=\"x1\"/></MessageHeader></resource></entry></Bundle>", 200, `"identifier":"x1"`},
		{"POST", "/$process-message", "2000", "<Bundle><type value=\"message\"/>", 400, "REC_BAD_REQUEST"},
		{"POST", "/$process-message", "2000", "<Bundle><type value=\"message\"/><entry><resource><Slot/></resource></entry></Bundle>", 400, "REC_BAD_REQUEST"},
		{"POST", "/Appointment", "2000", "<Appointment xmlns=\"http://hl7.org/fhir\"/>", 201, known},
		{"DELETE", "/Slot", "2000", "", 404, "REC_NOT_FOUND"},
		{"GET", "/Patient", "2000", "", 404, "REC_NOT_FOUND"},
		{"POST", "/$process-message", "2000", `{"resourceType":"Bundle"}`, 400, "REC_BAD_REQUEST"},
		{"POST", "/$process-message", "2000", `null`, 400, "REC_BAD_REQUEST"},
		{"POST", "/Appointment", "2000", `{"resourceType":"Appointment"}`, 201, known},
		{"POST", "/Appointment", "2000", `{"resourceType":"Slot"}`, 400, "REC_BAD_REQUEST"},
		{"GET", "/Appointment", "2000", "", 200, "searchset"},
		{"GET", "/Appointment/" + known, "2000", "", 200, "booked"},
		{"PUT", "/ServiceRequest/" + known, "2000", `{"resourceType":"ServiceRequest"}`, 200, known},
		{"PATCH", "/ServiceRequest/" + known, "2000", `[]`, 200, known},
		{"DELETE", "/ServiceRequest/" + known, "2000", "", 204, ""},
		{"GET", "/ServiceRequest/1", "2000", "", 404, "REC_NOT_FOUND"},
		{"GET", "/Slot", "1", "", 200, "plain"},
		{"GET", "/Slot", "3", "", 404, "PROXY_NOT_FOUND"},
		{"GET", "/Slot", "", "", 400, "PROXY_BAD_REQUEST"},
	} {
		if a := call(c.method, c.path, c.value, c.body); a.status != c.status || !contains(a.body, c.says) {
			t.Errorf("%s %s to %s: got status %d, body %s", c.method, c.path, c.value, a.status, a.body)
		}
	}
	status := must(http.NewRequest("GET", w.URL("SANDBOX", base+"/_status"), nil))
	status.Header.Set("apikey", "s3cret")
	if a := send(t, status); a.status != 200 || !contains(a.body, `"status":"pass"`) {
		t.Errorf("/_status with its key: got status %d, body %s", a.status, a.body)
	}
	for _, anyCase := range []string{strings.ToUpper(system), "https://fhir.nhs.uk/id/DOS-service-ID"} {
		for _, value := range []string{"2000072489", "1"} {
			request := must(http.NewRequest("GET", w.URL("SANDBOX", base+"/Slot"), nil))
			request.Header.Set("NHSD-Target-Identifier", base64.StdEncoding.EncodeToString(fmt.Appendf(nil, `{"system":%q,"value":%q}`, anyCase, value)))
			if a := send(t, request); a.status != 200 {
				t.Errorf("system %s, value %s: got status %d, body %s", anyCase, value, a.status, a.body)
			}
		}
	}
	request := must(http.NewRequest("GET", w.URL("SANDBOX", base+"/Slot"), nil))
	request.Header.Set("NHSD-Target-Identifier", base64.StdEncoding.EncodeToString([]byte(`{"system":"tests","value":"NHS0001"}`)))
	if a := send(t, request); a.status != 200 {
		t.Errorf("tests NHS0001: got status %d, body %s", a.status, a.body)
	}
}
