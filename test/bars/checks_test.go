package bars_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// Paths, methods, rates and the endpoints that need no token (BAR-1.2, BAR-1.3, BAR-1.9).
func TestChecks(t *testing.T) {
	w := prepare(t)
	r := &receiver{}
	r.will(say(200, "application/fhir+json", "{}"))
	w.enter("good", host("good"), listen(t, r, w.authority.Issue(host("good")), w.authority), "/FHIR/R4")
	w.options = "rate 60/m"
	w.start()

	t.Run("its own endpoints are for reading", func(t *testing.T) {
		for _, path := range []string{"/_ping", "/_status", "/openapi.json"} {
			a := send(t, w.call("POST", path, "good", nil))
			if codes, _ := a.outcome(); a.status != 405 || codes != "not-supported / PROXY_METHOD_NOT_ALLOWED" || a.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("%s: got status %d, headers %v, body %s", path, a.status, a.header, a.body)
			}
		}
	})
	t.Run("described", func(t *testing.T) {
		gateway.MustBeDescribed(t, w.URL("GATEWAY", base+"/_ping"), "bars/openapi/openapi.json")
	})
	t.Run("without a token", func(t *testing.T) {
		for _, path := range []string{"/_ping", "/metadata", "/_status"} {
			request := must(http.NewRequest("GET", w.URL("GATEWAY", base+path), nil))
			if path == "/_status" {
				if a := send(t, request); a.status != 401 || string(a.body) != `{"error":"Access Denied","error_description":"Invalid api key for _status monitoring endpoint"}` {
					t.Errorf("%s without the key: got status %d", path, a.status)
				}
				request.Header.Set("apikey", "s3cret")
			}
			a := send(t, request)
			var said map[string]any
			if err := json.Unmarshal(a.body, &said); a.status != 200 || err != nil {
				t.Fatalf("%s: got status %d, error %v, body %s", path, a.status, err, a.body)
			}
			switch path {
			case "/metadata":
				if said["resourceType"] != "CapabilityStatement" || a.header.Get("Content-Type") != "application/fhir+json" {
					t.Errorf("%s: got body %s", path, a.body)
				}
			case "/_status":
				if said["status"] != "pass" || said["version"] == nil || said["checks"] == nil {
					t.Errorf("%s: got body %s", path, a.body)
				}
			default:
				if said["version"] == nil {
					t.Errorf("%s: got body %s", path, a.body)
				}
			}
		}
		request := must(http.NewRequest("GET", w.URL("GATEWAY", base+"/metadata"), nil))
		request.Header.Set("NHSD-Target-Identifier", target("good"))
		if a := send(t, request); a.status != 401 {
			t.Errorf("/metadata of a receiver: got status %d", a.status)
		}
	})
	t.Run("why", func(t *testing.T) {
		request := w.call("GET", "/Slot", "nobody", nil)
		send(t, request)
		w.line("BaRS request failed", request.Header.Get("X-Request-Id")) // written after the answer and after the failure was recorded
		out, err := gateway.Run(nil, gateway.Binary(t), "countersign", "why", "--address", "127.0.0.1:"+w.Port("ADMIN"), request.Header.Get("X-Request-Id"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"PROXY_NOT_FOUND", "sender", "nobody", "/Slot", "Compare the target"} {
			if !contains(out, want) {
				t.Errorf("want %s in the answer of why, got\n%s", want, out)
			}
		}
		log, err := gateway.Run([]byte(w.Output()), gateway.Binary(t), "countersign", "why", "--log", "-", request.Header.Get("X-Request-Id"))
		if err != nil || !contains(log, "PROXY_NOT_FOUND") || !contains(log, "sender") {
			t.Errorf("%v\n%s", err, log)
		}
	})
	t.Run("rates", func(t *testing.T) { // last, because it exhausts the application's minute
		limited := 0
		for range 61 {
			request := w.call("GET", "/Slot", "good", nil)
			request.Header.Set("Authorization", "Bearer "+w.token("second"))
			a := send(t, request)
			if a.status == 200 {
				continue
			}
			limited++
			wait, err := strconv.Atoi(a.header.Get("Retry-After"))
			if codes, _ := a.outcome(); a.status != 429 || codes != "429 / PROXY_TOO_MANY_REQUESTS" || err != nil || wait < 1 || wait > 60 {
				t.Fatalf("got status %d, headers %v, body %s", a.status, a.header, a.body)
			}
		}
		if limited == 0 {
			t.Error("61 requests passed, want at most 60")
		}
		w.Reload(strings.Replace(w.caddyfile(), "rate 60/m", "rate 60/m\n\t\t\tmax_body 1MiB", 1))
		request := w.call("GET", "/Slot", "good", nil)
		request.Header.Set("Authorization", "Bearer "+w.token("second"))
		if a := send(t, request); a.status != 429 {
			t.Errorf("after a reload: got status %d, want the count to survive", a.status)
		}
	})
}
