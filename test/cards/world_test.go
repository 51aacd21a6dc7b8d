// Package cards_test proves from outside that real cards sign: SoftHSM2 tokens, made by pkcs11-tool, behind the
// PKCS#11 agent, the agent behind mutual TLS, a gateway before it, and OpenSSL to judge. A module that goes wrong
// when it is told to stands between agent and SoftHSM2.
package cards_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dd2befc3/countersign/smartcard/pkcs11/pkcs11test"
	"github.com/seed-dd2befc3/countersign/test/gateway"
)

// Who signs, and with which PIN: made up, and in no log.
const (
	anna   = "555086689106"
	ben    = "555086689107"
	carol  = "555086689108"
	secret = "73915048"
)

const patience = 2 * time.Minute

const caddyfile = `{
` + gateway.Options + `	countersign {
		environment int
		store badger
		client acme {
			name "Acme EPR"
			key acme-1 %[1]s
			callback http://localhost:9/signed
			algorithms RS1 RS256 PS256
		}
	}
}

http://localhost:{$PORT_GATEWAY} {
	handle_path /main/* {
		signing_service {
			public_url http://localhost:{$PORT_GATEWAY}/main
			access open
			tries 20
			agent https://localhost:{$PORT_CARDS} {
				` + gateway.MutualTLS + `			}
			certificates {
				trust_pool file %[2]s
			}
		}
	}
}

https://localhost:{$PORT_CARDS} {
` + gateway.DemandMutualTLS + `	smartcard_agent pkcs11 {
		allow_client gateway.countersign.internal
		users 5550*
		%[3]s
	}
}
`

// world is a gateway with an agent for what is in the readers, and a client system.
type world struct {
	*gateway.Gateway
	*pkcs11test.Readers
	key gateway.Key
	pin string // path of the file with the PIN
}

// newWorld starts the gateway. lines are the agent's options; {faulty} is the module that goes wrong, {pin} a file
// with the PIN.
func newWorld(t testing.TB, readers *pkcs11test.Readers, lines string) *world {
	t.Helper()
	w := &world{Readers: readers, key: gateway.NewKey(t, 4096), pin: filepath.Join(readers.Dir, "pin")}
	w.setPIN(t, secret)
	for _, variable := range readers.Env() {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	lines = strings.NewReplacer("{faulty}", readers.Faulty, "{pin}", w.pin, "{dir}", readers.Dir).Replace(lines)
	w.Gateway = gateway.Start(t, fmt.Sprintf(caddyfile, w.key.Public, readers.CA, lines))
	w.MustNotLog(anna, ben, carol, secret)
	return w
}

const storedPIN = `module {faulty}
		env FAULTY_MODULE FAULTY_DIR
		call_timeout 12s
		pin file {pin} {
			service_key
		}`

func (w *world) setPIN(t testing.TB, pin string) {
	t.Helper()
	if err := os.WriteFile(w.pin, []byte(pin+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (w *world) system(sub string) gateway.System {
	return gateway.System{Base: w.URL("GATEWAY", "/main"), ID: "acme", Kid: "acme-1", Key: w.key, Sub: sub}
}

// mustSign has payloads signed by a person's card and judged by OpenSSL.
func (w *world) mustSign(t *testing.T, sub, algorithm string, n int) {
	t.Helper()
	system, payloads := w.system(sub), gateway.Payloads(algorithm, n)
	accepted := system.Request(t, algorithm, "", payloads...)
	view := gateway.Visit(t, accepted.RedirectURI).SignToEnd()
	if view.State != "signed" || view.Signed != n {
		t.Fatalf("ended %q with %d of %d: %+v", view.State, view.Signed, n, view.Reason)
	}
	signed := system.Fetch(t, accepted.Token)
	signed.Verify(t, algorithm, payloads)
	subject, err := gateway.Run(nil, "openssl", "x509", "-in", gateway.NewVerifier(t, algorithm, signed.Certificate).Certificate(), "-noout", "-subject")
	if err != nil || !strings.Contains(string(subject), sub+"_") {
		t.Fatalf("the certificate is of %s (%v)", subject, err)
	}
}

// visit has a request accepted and its page opened, signing not begun.
func (w *world) visit(t testing.TB, sub string, n int) (*gateway.Browser, gateway.Accepted) {
	t.Helper()
	accepted := w.system(sub).Request(t, "RS256", "", gateway.Payloads("RS256", n)...)
	browser := gateway.Visit(t, accepted.RedirectURI)
	browser.Open()
	return browser, accepted
}

// mustEnd waits until signing has come to nothing for a reason, and nothing of it can be fetched.
func (w *world) mustEnd(t *testing.T, sub string, browser *gateway.Browser, accepted gateway.Accepted, code string, retry bool) {
	t.Helper()
	view := browser.Await("signing to end", patience, func(v gateway.View) bool { return v.State != "signing" })
	state := "failed"
	if retry {
		state = "opened"
	}
	if view.State != state || view.ReasonCode() != code || view.Reason.Retry != retry || view.Reason.Title == "" || view.Reason.Text == "" {
		t.Fatalf("ended %q: %+v, want %q: %s", view.State, view.Reason, state, code)
	}
	if answer := w.system(sub).Response(t, accepted.Token); answer.Status == 200 {
		t.Fatal("something was released")
	}
}
