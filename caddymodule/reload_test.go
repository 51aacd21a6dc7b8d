package caddymodule_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"
)

// gatewayWith is a small gateway with a store in a directory, on two ports; more is one site more.
func gatewayWith(ports [2]int, dir, client, more string) string {
	return fmt.Sprintf(`{
	admin off
	auto_https disable_redirects
	default_bind 127.0.0.1
	skip_install_trust
	local_certs
	countersign {
		environment int
		store badger %[1]s
		client %[3]s {
			jwks http://localhost:9/jwks.json
			callback http://localhost:9/signed
		}
	}
}

http://localhost:%[2]d {
	handle_path /main/* {
		signing_service {
			public_url http://localhost:%[2]d/main
			access open
			status_key secret
			mock https://localhost:%[5]d {
				tls_client_auth gateway.countersign.internal
				tls_trust_pool pki_root {
					authority local
				}
			}
			certificates {
				trust mock
			}
		}
	}
	handle_path /demo/* {
		countersign_demo
	}
}

https://localhost:%[5]d {
	tls internal {
		client_auth {
			mode require_and_verify
			trust_pool pki_root {
				authority local
			}
		}
	}
	smartcard_agent mock {
		allow_client gateway.countersign.internal
	}
}
%[4]s`, dir, ports[0], client, more, ports[1])
}

// TestLoadsLeaveNothing loads a configuration ten times over, the same, changed and broken, as reloads of one process
// do, and stops: every goroutine of ours ends with it.
func TestLoadsLeaveNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	ports, taken := [2]int{freePort(t), freePort(t)}, listen(t)
	mustRun(t, "{\n\tadmin off\n}\n") // what Caddy itself begins once and never ends
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()

	for n := range 10 {
		switch n % 3 {
		case 0, 1:
			mustRun(t, gatewayWith(ports, dir, fmt.Sprint("client-", n/3), ""))
		case 2: // fails in the http app, when the store may be open for it already
			broken := gatewayWith(ports, dir, "never", fmt.Sprintf("http://localhost:%d {\n\trespond x\n}\n", taken))
			if err := tryRun(t, broken); err == nil || !strings.Contains(err.Error(), fmt.Sprint(taken)) {
				t.Fatalf("a port that is taken: %v", err)
			}
		}
		mustServe(t, ports[0])
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("no store was opened: %v", err)
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	// certmagic's keepers of lock files notice after 5 s that their lock is gone.
	var left error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if left = goleak.Find(before); left == nil {
			return
		}
	}
	t.Error(left)
}

// TestStoreChangesHands moves a gateway from one store to another and back: the one that nobody has any more is closed,
// so that it can be opened again.
func TestStoreChangesHands(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	dir := t.TempDir()
	ports := [2]int{freePort(t), freePort(t)}
	for _, name := range []string{"one", "two", "one", "two", "two"} {
		mustRun(t, gatewayWith(ports, filepath.Join(dir, name), "acme", ""))
		mustServe(t, ports[0])
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
}

func tryRun(t *testing.T, caddyfile string) error {
	t.Helper()
	config, err := adapt(t, "Caddyfile", []byte(caddyfile))
	if err != nil {
		t.Fatal(err)
	}
	return caddy.Load(config, true)
}

func mustRun(t *testing.T, caddyfile string) {
	t.Helper()
	if err := tryRun(t, caddyfile); err != nil {
		t.Fatal(err)
	}
}

// mustServe asks the service how its store is. A connection that Caddy's old listener took along as it closed is made
// again, as clients do.
func mustServe(t *testing.T, port int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://localhost:%d/main/signatureresponse/f523a772-24f2-45d6-a8da-59b48de0231a", port), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	for tries := 0; err != nil && tries < 10; tries++ {
		response, err = http.DefaultClient.Do(request)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Fatalf("an unknown token was answered %d: is the store open?", response.StatusCode)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// listen takes a port for as long as the test runs.
func listen(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().(*net.TCPAddr).Port
}
