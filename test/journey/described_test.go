package journey_test

import (
	"testing"

	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// The service says itself how it is spoken to. That every answer is as described is seen to by package gateway, for
// every call of every test here.
func TestDescriptionIsServedAndLinked(t *testing.T) {
	w := newWorld(t, options{})
	gateway.MustBeDescribed(t, w.URL("GATEWAY", "/main/_ping"), "signing/openapi/openapi.json")
}
