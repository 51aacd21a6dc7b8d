package barsreceiver

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dd2befc3/countersign/bars/barstest"
)

// TestChangeOfAuthority replaces an environment's authority by reloads: the old chain, both, the new one alone; then
// a chain of another environment, which is refused and changes nothing.
func TestChangeOfAuthority(t *testing.T) {
	w := newWorld(t)
	next := barstest.NewAuthority(t, "NHS INT G3")
	newChain := next.WriteChain(w.path("new-chain.pem"))
	w.client("proxy", w.int.Issue(proxy))
	w.client("new", next.Issue(proxy))
	expect := func(when string, old, new bool) {
		t.Helper()
		for name, want := range map[string]bool{"proxy": old, "new": new} {
			if said := w.handshake(receiver, receiver, w.with(name)...); passed(said) != want {
				t.Errorf("%s: %s: got passed %v\n%s", when, name, !want, said)
			}
		}
	}
	expect("before", true, false)
	w.Reload(strings.ReplaceAll(w.trusting(w.chain, newChain), " crl ", " client_subject "))
	expect("during", true, true)
	file, key := barstest.Write(t, w.dir, "next", next.Issue(receiver))
	own := strings.NewReplacer(w.path(receiver+".pem"), file, w.path(receiver+".key"), key, " crl ", " client_subject ")
	w.Reload(own.Replace(w.trusting(newChain)))
	said := w.handshake(receiver, receiver, append(w.with("new"), "-CAfile", newChain)...)
	if !passed(said) {
		t.Errorf("afterwards: the new certificate was refused:\n%s", said)
	}
	if said := w.handshake(receiver, receiver, append(w.with("proxy"), "-CAfile", newChain)...); passed(said) {
		t.Errorf("afterwards: the old certificate passed:\n%s", said)
	}
	prod := w.prod.WriteChain(filepath.Join(w.dir, "prod-chain.pem"))
	if err := w.TryReload(strings.ReplaceAll(w.trusting(prod), " crl ", " client_subject ")); err == nil || !strings.Contains(err.Error(), "not issued by the environment's chain") {
		t.Errorf("a certificate of INT with another environment's chain: got error %v", err)
	}
	if said := w.handshake(receiver, receiver, append(w.with("new"), "-CAfile", newChain)...); !passed(said) {
		t.Errorf("after a refused reload the new certificate does not pass:\n%s", said)
	}

	response, err := http.Get("http://127.0.0.1:" + w.Port("ADMIN") + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	metrics, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		`countersign_certificate_expiry_timestamp_seconds{kind="bars_receiver",subject="CN=` + receiver + `"}`,
		`countersign_certificate_expiry_timestamp_seconds{kind="bars_receiver_chain",subject="CN=NHS INT G3 Root Authority"}`,
		`countersign_bars_received_total{outcome="answered"}`,
	} {
		if !strings.Contains(string(metrics), part) {
			t.Errorf("want %s in the metrics", part)
		}
	}
}
