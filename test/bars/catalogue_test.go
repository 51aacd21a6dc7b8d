package bars_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// A catalogue is read again when it changes, and the last good one is kept, also over a reload.
func TestCatalogueFile(t *testing.T) {
	w := prepare(t)
	r := &receiver{}
	r.will(say(200, "application/fhir+json", "{}"))
	port := listen(t, r, w.authority.Issue(host("good")), w.authority)
	w.enter("first", host("good"), port, "/FHIR/R4")
	w.options = "target tests inline https://" + host("good") + fmt.Sprintf(":%d", port)
	w.start()
	status := func(value string) int { return send(t, w.call("GET", "/Slot", value, nil)).status }
	await := func(value string, want int) {
		t.Helper()
		if !gateway.Eventually(patience, func() bool { return status(value) == want }) {
			t.Fatalf("target %s: got status %d, want %d", value, status(value), want)
		}
	}
	await("first", 200)
	await("second", 404)

	w.enter("second", host("good"), port, "")
	delete(w.entries, "first")
	w.publish(w.catalogue())
	await("second", 200)
	await("first", 404)

	w.publish(`{"NHSD-Target-Identifier":`)
	var said struct {
		Proxies []struct {
			Targets   int `json:"targets"`
			Catalogue struct {
				Targets int    `json:"targets"`
				Error   string `json:"error"`
				Good    string `json:"good"`
			} `json:"catalogue"`
		} `json:"barsProxies"`
	}
	admin := func() {
		t.Helper()
		a := send(t, must(http.NewRequest("GET", "http://127.0.0.1:"+w.Port("ADMIN")+"/countersign/status", nil)))
		if err := json.Unmarshal(a.body, &said); err != nil || len(said.Proxies) != 1 {
			t.Fatalf("got error %v, body %s", err, a.body)
		}
	}
	if !gateway.Eventually(patience, func() bool { admin(); return said.Proxies[0].Catalogue.Error != "" }) {
		t.Fatal("the admin endpoint shows no error, want one")
	}
	if c := said.Proxies[0].Catalogue; c.Targets != 1 || c.Good == "" || said.Proxies[0].Targets != 1 {
		t.Errorf("%+v", said)
	}
	await("second", 200)
	w.Reload(w.caddyfile() + "\n# another\n" + "http://localhost:{$PORT_MORE} {\n\trespond ok\n}\n")
	await("second", 200)

	w.enter("third", host("good"), port, "")
	w.publish(w.catalogue())
	await("third", 200)

	inline := w.call("GET", "/Slot", "", nil)
	inline.Header.Set("NHSD-Target-Identifier", "eyJzeXN0ZW0iOiJ0ZXN0cyIsInZhbHVlIjoiaW5saW5lIn0=")
	if a := send(t, inline); a.status != 200 {
		t.Errorf("the Caddyfile's own target: got status %d, body %s", a.status, a.body)
	}
	w.publish("nonsense")
	w.Stop()
	config := w.file("Caddyfile")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(w.caddyfile(), "{$PORT_GATEWAY}", "18080")), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gateway.Run(nil, gateway.Binary(t), "validate", "--adapter", "caddyfile", "--config", config); err == nil || !strings.Contains(err.Error(), "not a catalogue in JSON") {
		t.Errorf("a bad catalogue at the first start: got error %v", err)
	}
}

// A catalogue may come from a URL; without one, the fault is the proxy's.
func TestCatalogueURL(t *testing.T) {
	w := prepare(t)
	r := &receiver{}
	r.will(say(200, "application/fhir+json", "{}"))
	w.enter("good", host("good"), listen(t, r, w.authority.Issue(host("good")), w.authority), "")
	var good atomic.Bool
	catalogue := serveHTTP(t, func(answer http.ResponseWriter, _ *http.Request) {
		if !good.Load() {
			answer.WriteHeader(http.StatusInternalServerError)
			return
		}
		say(200, "application/json", w.catalogue())(answer, nil)
	})
	w.publish(w.catalogue())
	w.Gateway = gateway.Start(t, strings.Replace(w.caddyfile(), w.file("catalogue.json"), catalogue, 1))
	a := send(t, w.call("GET", "/Slot", "good", nil))
	if codes, _ := a.outcome(); a.status != 503 || codes != "transient / PROXY_SERVER_ERROR" {
		t.Errorf("without a catalogue: got status %d, body %s", a.status, a.body)
	}
	good.Store(true)
	await := func() {
		t.Helper()
		if !gateway.Eventually(patience, func() bool { return send(t, w.call("GET", "/Slot", "good", nil)).status == 200 }) {
			t.Fatal("the catalogue was not fetched in time")
		}
	}
	await()
	good.Store(false)
	await()
}
