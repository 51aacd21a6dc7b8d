package caddymodule_test

import (
	"slices"
	"testing"

	"github.com/seed-dd2befc3/countersign/client"
	"github.com/seed-dd2befc3/countersign/mocksigner"
	"github.com/seed-dd2befc3/countersign/signing"
)

// The sandbox plays every fault of the mock smartcard agent, under the same name, and after them the sign-ins that do not
// count.
func TestSandboxPlaysTheMocksFaults(t *testing.T) {
	played, tokens := signing.SandboxFaults()
	if names := append(mocksigner.Names(), client.ReasonWrongUser, client.ReasonInsufficientLevel, client.ReasonAccessDenied); !slices.Equal(played, names) || len(tokens) != len(names) {
		t.Errorf("the sandbox plays %v, the mock has %v", played, names)
	}
}
