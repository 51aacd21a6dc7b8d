package journey_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// The service says itself how it is spoken to. That every answer is as described is seen to by package gateway, for
// every call of every test here.
func TestDescriptionIsServedAndLinked(t *testing.T) {
	w := newWorld(t, options{})
	ping := w.URL("GATEWAY", "/main/_ping")
	link := regexp.MustCompile(`^<([^>]+)>; rel="service-desc"`).FindStringSubmatch(get(t, ping).Header.Get("Link"))
	if link == nil {
		t.Fatal("_ping links to no description")
	}
	base, err := url.Parse(ping)
	if err != nil {
		t.Fatal(err)
	}
	address, err := base.Parse(link[1])
	if err != nil {
		t.Fatal(err)
	}
	answer := get(t, address.String())
	want, err := os.ReadFile(filepath.Join(gateway.Root(t), "signing", "openapi", "openapi.json"))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != http.StatusOK || string(answer.Body) != string(want) {
		t.Errorf("%s was answered %d with %d bytes", address, answer.Status, len(answer.Body))
	}
}
