package bars_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-dd2befc3/countersign/bars"
)

// What a client says of its connection ends at the first gateway; the rest goes on.
func TestDropHop(t *testing.T) {
	header := http.Header{}
	for name, value := range map[string]string{
		"Connection": "Upgrade, HTTP2-Settings, x-own", "Upgrade": "h2c", "HTTP2-Settings": "AAEAAEAA", "X-Own": "a", "Keep-Alive": "timeout=5",
		"TE": "trailers", "Proxy-Connection": "close", "Accept": "kept", "Idempotency-Key": "kept", "Expect": "kept",
	} {
		header.Set(name, value)
	}
	bars.DropHop(header)
	if len(header) != 3 || header.Get("Accept") != "kept" || header.Get("Idempotency-Key") != "kept" || header.Get("Expect") != "kept" {
		t.Errorf("got headers %v", header)
	}
}

// Go's transport finds no leave to repeat what changes something.
func TestSendOnce(t *testing.T) {
	for method, hidden := range map[string]bool{"GET": false, "HEAD": false, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "ANY": true} {
		r := httptest.NewRequest(method, "/Slot", http.NoBody)
		r.Header.Set("Idempotency-Key", "k")
		r.Header.Set("X-Idempotency-Key", "x")
		bars.SendOnce(r)
		if _, seen := r.Header["Idempotency-Key"]; seen == hidden || len(r.Header) != 2 {
			t.Errorf("%s: got headers %v", method, r.Header)
		}
	}
}
